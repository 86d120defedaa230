-- +goose Up
-- Since when the person waits for the team that has the conversation, 0 for nobody.
ALTER TABLE conversations ADD COLUMN waiting_since INTEGER NOT NULL DEFAULT 0;
CREATE INDEX conversations_waiting ON conversations (waiting_since) WHERE waiting_since > 0;
-- Whose message has stayed without one of ours has waited since then.
UPDATE conversations SET waiting_since = last_inbound WHERE state = 'handed_off' AND last_inbound > last_human;

-- What one process at a time does: who, until when, and what it has to remember.
CREATE TABLE duties (
    name   TEXT    NOT NULL PRIMARY KEY,
    holder TEXT    NOT NULL,
    until  INTEGER NOT NULL,
    state  BLOB
) STRICT, WITHOUT ROWID;

-- What every process says of itself to the holder of a duty.
CREATE TABLE duty_reports (
    duty    TEXT    NOT NULL,
    process TEXT    NOT NULL,
    until   INTEGER NOT NULL,
    report  BLOB    NOT NULL,
    PRIMARY KEY (duty, process)
) STRICT, WITHOUT ROWID;
