-- +goose Up
-- Idempotency keys of commands, with the first answer.
CREATE TABLE idempotency (
    actor  TEXT    NOT NULL,
    key    TEXT    NOT NULL,
    hash   TEXT    NOT NULL, -- of what was asked
    answer TEXT    NOT NULL, -- JSON
    at     INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);
