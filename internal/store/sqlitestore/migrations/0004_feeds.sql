-- +goose Up
-- Endpoints get events pushed: those after start, by position. Events up to walked were
-- scanned for conversations with something for it.
CREATE TABLE endpoints (
    name       TEXT    NOT NULL PRIMARY KEY,
    start      INTEGER NOT NULL,
    walked     INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An endpoint has taken the events of a conversation up to seq. since is set while a scan
-- has found more for it, up to want.
CREATE TABLE cursors (
    endpoint     TEXT    NOT NULL,
    conversation TEXT    NOT NULL, -- its id
    seq          INTEGER NOT NULL,
    want         INTEGER NOT NULL DEFAULT 0,
    since        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (endpoint, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX cursors_behind ON cursors (endpoint, since, conversation) WHERE since > 0;

CREATE INDEX events_conversation ON events (conversation, seq);
