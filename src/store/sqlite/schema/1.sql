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
    -- How many links have this one as their parent.
    children  INTEGER NOT NULL DEFAULT 0,
    -- 0: a run in progress; 1: a response; 2: gone, and here as long as others go on from it; 3: items that a client has
    -- put into a conversation; 4: never there, and named by those that go on from it.
    state     INTEGER NOT NULL,
    -- The id of the conversation that it has become a part of, as that of the link is kept, also when that is gone.
    conversation ANY,
    -- 1: a conversation goes on from it; 2: one that has a name.
    head      INTEGER NOT NULL DEFAULT 0,
    -- When it was stored: of two links that hold the same item, the later one counts.
    stored    INTEGER NOT NULL,
    -- When it was last used, in milliseconds of Unix time; no two have the same.
    used      INTEGER NOT NULL,
    -- Of its contents.
    bytes     INTEGER NOT NULL,
    -- Its run's uuid, if a run has made it.
    run       BLOB,
    -- The keys of its rows in `items`, 8 bytes each; of a run in progress, of those that there are already.
    keys      BLOB
) STRICT;

CREATE UNIQUE INDEX links_by_id ON links (id, principal);
CREATE UNIQUE INDEX links_by_run ON links (principal, run) WHERE run IS NOT NULL;
-- What may be evicted, in the order in which it is: first the ends of chains, then what is only stood on, then the heads of
-- conversations that have a name.
CREATE INDEX links_at_ends ON links (used) WHERE children = 0 AND head < 2 AND state IN (1, 2, 3);
CREATE INDEX links_stood_on ON links (principal, used) WHERE children > 0 AND head = 0 AND state IN (1, 3);
CREATE INDEX links_with_names ON links (used) WHERE head = 2;

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

-- Which links hold an item, by a number for what clients call it; see items.rs.
CREATE TABLE items (
    key  INTEGER NOT NULL,
    link INTEGER NOT NULL,
    PRIMARY KEY (key, link)
) STRICT, WITHOUT ROWID;

CREATE TABLE conversations (
    pk         INTEGER PRIMARY KEY,
    principal  INTEGER NOT NULL,
    -- As it is: they are listed in the order of their ids.
    id         TEXT NOT NULL,
    name       TEXT,
    -- Unix seconds.
    created_at INTEGER NOT NULL,
    -- JSON.
    metadata   TEXT NOT NULL,
    -- JSON: the ids of the items that were taken out of it.
    removed    TEXT NOT NULL,
    -- The link that it goes on from.
    head       INTEGER,
    used       INTEGER NOT NULL,
    bytes      INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX conversations_by_id ON conversations (principal, id);
CREATE UNIQUE INDEX conversations_by_name ON conversations (principal, name) WHERE name IS NOT NULL;
CREATE INDEX conversations_to_evict ON conversations (principal, (name IS NOT NULL), used);

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
