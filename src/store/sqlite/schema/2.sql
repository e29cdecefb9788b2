-- Version 2. The head of a conversation belongs to one process at a time.

-- Who has it; NULL if nobody does.
ALTER TABLE conversations ADD COLUMN owner TEXT;
-- Milliseconds of Unix time.
ALTER TABLE conversations ADD COLUMN until INTEGER;
-- How many times it was taken.
ALTER TABLE conversations ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;

-- Those that somebody has.
CREATE INDEX conversations_by_owner ON conversations (owner) WHERE owner IS NOT NULL;
