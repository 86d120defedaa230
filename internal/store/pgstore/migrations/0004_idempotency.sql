-- +goose Up
-- Idempotency keys of commands, with the first answer. The row is inserted before anything
-- is done: a second command with the key waits for its commit.
CREATE TABLE psi_router.idempotency (
    actor  text        NOT NULL,
    key    text        NOT NULL,
    hash   text        NOT NULL, -- of what was asked
    answer text        NOT NULL DEFAULT '', -- JSON
    at     timestamptz NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_at ON psi_router.idempotency (at);
-- The list of all audit rows, newest first.
CREATE INDEX audit_latest ON psi_router.audit (n);
