-- +goose Up
-- A report is for its line and its recipient. Those that are parked already have neither,
-- so they match no message.
DROP TABLE parked;
CREATE TABLE parked (
    provider_id TEXT    NOT NULL,
    line        TEXT    NOT NULL,
    person      TEXT    NOT NULL, -- an alias
    status      TEXT    NOT NULL,
    code        INTEGER NOT NULL DEFAULT 0,
    detail      TEXT    NOT NULL DEFAULT '',
    at          INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (provider_id, line, person, status)
) STRICT, WITHOUT ROWID;
CREATE INDEX parked_expiry ON parked (expires_at);
