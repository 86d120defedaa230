-- +goose Up
-- What programs asked to be done once, and what the first time was answered. The
-- row is made before anything is done: who asks for the same waits for its commit.
CREATE TABLE psi_router.idempotency (
    actor  text        NOT NULL,
    key    text        NOT NULL,
    hash   text        NOT NULL, -- of what was asked
    answer text        NOT NULL DEFAULT '', -- JSON
    at     timestamptz NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_at ON psi_router.idempotency (at);
-- The list of all that was done, newest first.
CREATE INDEX audit_latest ON psi_router.audit (n);
