-- +goose Up
-- Since when the person waits for the team that has the conversation, 0 for not at all.
ALTER TABLE conversations ADD COLUMN waiting_since INTEGER NOT NULL DEFAULT 0;
CREATE INDEX conversations_waiting ON conversations (waiting_since) WHERE waiting_since > 0;
-- A person without an answer of the team has waited since their message.
UPDATE conversations SET waiting_since = last_inbound WHERE state = 'handed_off' AND last_inbound > last_human;

-- What one process at a time does: the process, the end of its lease, and the duty's state.
CREATE TABLE duties (
    name   TEXT    NOT NULL PRIMARY KEY,
    holder TEXT    NOT NULL,
    until  INTEGER NOT NULL,
    state  BLOB
) STRICT, WITHOUT ROWID;

-- The report of every process to the leader of a duty.
CREATE TABLE duty_reports (
    duty    TEXT    NOT NULL,
    process TEXT    NOT NULL,
    until   INTEGER NOT NULL,
    report  BLOB    NOT NULL,
    PRIMARY KEY (duty, process)
) STRICT, WITHOUT ROWID;
