-- Version 1. `pk` is a row's own number; rows point at each other by it. Nothing is declared as a foreign key, because
-- what points where is kept up by the writer alone, and a check of it would cost a search at each delete.

CREATE TABLE principals (
    pk   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- The links of all chains. A link points at the one it goes on from and holds nothing of it. Rows are small: whole chains
-- of them are walked, and a row is written again when it is used. What a link says is in `contents`.
CREATE TABLE links (
    pk        INTEGER PRIMARY KEY,
    principal INTEGER NOT NULL,
    -- See id.rs.
    id        ANY NOT NULL,
    parent    INTEGER,
    -- How many links have this one as their parent. One that has any is never evicted.
    children  INTEGER NOT NULL DEFAULT 0,
    -- 0: a run in progress; 1: a response; 2: gone, and here as long as others go on from it.
    state     INTEGER NOT NULL,
    -- When it was last used, in milliseconds of Unix time; no two have the same.
    used      INTEGER NOT NULL,
    -- Of its contents.
    bytes     INTEGER NOT NULL,
    -- Its run's uuid, if a run has made it.
    run       BLOB
) STRICT;

CREATE UNIQUE INDEX links_by_id ON links (id, principal);
CREATE UNIQUE INDEX links_by_run ON links (principal, run) WHERE run IS NOT NULL;
-- What may be evicted, in the order in which it is.
CREATE INDEX links_to_evict ON links (used) WHERE state = 1 AND children = 0;

CREATE TABLE contents (
    link         INTEGER PRIMARY KEY,
    -- Unix seconds.
    ended_at     INTEGER,
    -- JSON. NULL for a run that is in progress or has completed.
    outcome      TEXT,
    head         TEXT NOT NULL,
    instructions TEXT,
    -- JSON.
    input        TEXT NOT NULL,
    -- Packed, with the output in it. NULL for a run in progress, whose journal is in `told`.
    journal      TEXT,
    -- What a run in progress was asked.
    request      TEXT
) STRICT;

CREATE TABLE running (
    run    BLOB PRIMARY KEY,
    link   INTEGER NOT NULL,
    -- NULL if it was given back.
    owner  TEXT,
    -- Milliseconds of Unix time.
    until  INTEGER NOT NULL,
    fence  INTEGER NOT NULL,
    claims INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The journals of runs in progress, a row for each batch.
CREATE TABLE told (
    link   INTEGER NOT NULL,
    -- Number of the first event.
    at     INTEGER NOT NULL,
    events INTEGER NOT NULL,
    -- Packed.
    batch  TEXT NOT NULL,
    PRIMARY KEY (link, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    principal INTEGER NOT NULL,
    key       TEXT NOT NULL,
    run       BLOB NOT NULL,
    id        ANY NOT NULL,
    body      BLOB NOT NULL,
    until     INTEGER NOT NULL,
    PRIMARY KEY (principal, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_by_end ON keys (until);

CREATE TABLE sessions (
    principal   INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    -- NULL if two have had it.
    session     TEXT,
    used        INTEGER NOT NULL,
    PRIMARY KEY (principal, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_use ON sessions (used);

-- Turns that wait for a client's tools, by the first of its calls.
CREATE TABLE waiting (
    pk        INTEGER PRIMARY KEY,
    principal INTEGER NOT NULL,
    call      TEXT NOT NULL,
    -- Milliseconds of Unix time.
    kept_at   INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    -- JSON.
    items     TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX waiting_by_call ON waiting (principal, call);
