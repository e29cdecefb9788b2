-- Version 3. Notes that models keep for later sessions.

CREATE TABLE notes (
    principal INTEGER NOT NULL,
    -- Which of the principal's they are, as a hash.
    scope     BLOB NOT NULL,
    -- When they were last changed, in milliseconds of Unix time.
    changed   INTEGER NOT NULL,
    -- JSON.
    notebook  TEXT NOT NULL,
    PRIMARY KEY (principal, scope)
) STRICT, WITHOUT ROWID;

CREATE INDEX notes_by_change ON notes (principal, changed);
