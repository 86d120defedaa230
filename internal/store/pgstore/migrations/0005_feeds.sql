-- +goose Up
-- Endpoints get events pushed: those after start, by position. Events up to walked were
-- scanned for conversations with something for it.
CREATE TABLE psi_router.endpoints (
    name       text        NOT NULL PRIMARY KEY,
    start      bigint      NOT NULL,
    walked     bigint      NOT NULL,
    created_at timestamptz NOT NULL
);

-- An endpoint has taken the events of a conversation up to seq. since is set while a scan
-- has found more for it, up to want.
CREATE TABLE psi_router.cursors (
    endpoint     text        NOT NULL,
    conversation text        NOT NULL, -- its id
    seq          bigint      NOT NULL,
    want         bigint      NOT NULL DEFAULT 0,
    since        timestamptz,
    PRIMARY KEY (endpoint, conversation)
) WITH (fillfactor = 80);
CREATE INDEX cursors_behind ON psi_router.cursors (endpoint, since, conversation) WHERE since IS NOT NULL;
ALTER TABLE psi_router.cursors SET (autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX events_conversation ON psi_router.events (conversation, seq);
