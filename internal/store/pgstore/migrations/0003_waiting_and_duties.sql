-- +goose Up
-- Since when the person waits for the team that has the conversation.
ALTER TABLE psi_router.conversations ADD COLUMN waiting_since timestamptz;
-- A person without an answer of the team has waited since their message.
UPDATE psi_router.conversations SET waiting_since = last_inbound
    WHERE state = 'handed_off' AND last_inbound > coalesce(last_human, 'epoch');
CREATE INDEX conversations_waiting ON psi_router.conversations (waiting_since) WHERE waiting_since IS NOT NULL;

-- What one process at a time does: the process, the end of its lease, and the duty's state.
CREATE TABLE psi_router.duties (
    name   text        NOT NULL PRIMARY KEY,
    holder text        NOT NULL,
    until  timestamptz NOT NULL,
    state  bytea
);

-- The report of every process to the leader of a duty.
CREATE TABLE psi_router.duty_reports (
    duty    text        NOT NULL,
    process text        NOT NULL,
    until   timestamptz NOT NULL,
    report  bytea       NOT NULL,
    PRIMARY KEY (duty, process)
);
