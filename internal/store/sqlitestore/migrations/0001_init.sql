-- Times are microseconds since 1970, 0 for never. Text that may be missing is ''. n is this
-- file's own key and never leaves it; id is public.

-- +goose Up
CREATE TABLE contacts (
    n          INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL,
    phone      TEXT    NOT NULL DEFAULT '', -- as it came last
    user_id    TEXT    NOT NULL DEFAULT '',
    username   TEXT    NOT NULL DEFAULT '',
    name       TEXT    NOT NULL DEFAULT '',
    blocked    INTEGER NOT NULL DEFAULT 0,
    opted_out  INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;

-- Every alias that leads to a contact: user:…, parent:…, phone:…, external:…
CREATE TABLE aliases (
    alias   TEXT    NOT NULL PRIMARY KEY,
    contact INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_contact ON aliases (contact);

CREATE TABLE conversations (
    n               INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    contact         INTEGER NOT NULL,
    line            TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('menu', 'handed_off', 'closed', 'disconnected')),
    area            TEXT    NOT NULL DEFAULT '',
    tag             TEXT    NOT NULL DEFAULT '',
    menu            TEXT    NOT NULL DEFAULT '',
    epoch           INTEGER NOT NULL DEFAULT 0,
    ticket          TEXT    NOT NULL DEFAULT '',
    invalid         INTEGER NOT NULL DEFAULT 0,
    offered         INTEGER NOT NULL DEFAULT 0,
    auto            TEXT    NOT NULL DEFAULT '', -- Unix seconds, by commas
    last_inbound    INTEGER NOT NULL DEFAULT 0,
    last_human      INTEGER NOT NULL DEFAULT 0,
    timeout_at      INTEGER NOT NULL DEFAULT 0,
    to_phone        TEXT    NOT NULL DEFAULT '', -- where to write: exactly as it came
    to_user         TEXT    NOT NULL DEFAULT '',
    to_external     TEXT    NOT NULL DEFAULT '',
    seq             INTEGER NOT NULL DEFAULT 0,
    last_message_at INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    UNIQUE (contact, line)
) STRICT;
CREATE INDEX conversations_latest ON conversations (line, last_message_at);
CREATE INDEX conversations_state ON conversations (state, last_message_at) WHERE state <> 'menu';

-- Ids of conversations that were merged into another one.
CREATE TABLE moved (
    id           TEXT    NOT NULL PRIMARY KEY,
    conversation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX moved_conversation ON moved (conversation);

-- n is the order within a conversation.
CREATE TABLE messages (
    n            INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    conversation INTEGER NOT NULL,
    direction    TEXT    NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    author       TEXT    NOT NULL,
    type         TEXT    NOT NULL,
    text         TEXT    NOT NULL DEFAULT '', -- outgoing: only when body has no reply
    body         TEXT    NOT NULL DEFAULT '', -- JSON, outgoing
    media        TEXT    NOT NULL DEFAULT '', -- JSON
    reply_id     TEXT    NOT NULL DEFAULT '',
    quoted_id    TEXT    NOT NULL DEFAULT '',
    reactions    TEXT    NOT NULL DEFAULT '', -- JSON
    provider_id  TEXT,
    origin       TEXT,                        -- kind and line of an arrival; NULL for our own messages
    status       TEXT    NOT NULL,
    reason       TEXT    NOT NULL DEFAULT '', -- of the decision
    fate         TEXT    NOT NULL DEFAULT '', -- of a failure
    error_code   INTEGER NOT NULL DEFAULT 0,
    error_detail TEXT    NOT NULL DEFAULT '',
    epoch        INTEGER NOT NULL DEFAULT 0,
    attempts     INTEGER NOT NULL DEFAULT 0,
    token        TEXT    NOT NULL DEFAULT '',
    read_id      TEXT    NOT NULL DEFAULT '',
    since        INTEGER NOT NULL DEFAULT 0,  -- when it began to wait
    expires_at   INTEGER NOT NULL DEFAULT 0,
    sent_at      INTEGER NOT NULL DEFAULT 0,
    received_at  INTEGER NOT NULL DEFAULT 0,
    edited_at    INTEGER NOT NULL DEFAULT 0,
    revoked_at   INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    raw          BLOB
) STRICT;
CREATE UNIQUE INDEX messages_provider ON messages (provider_id, origin) WHERE provider_id IS NOT NULL;
CREATE INDEX messages_conversation ON messages (conversation);
CREATE INDEX messages_pending ON messages (conversation) WHERE status IN ('queued', 'sending');
CREATE INDEX messages_waiting ON messages (since) WHERE status IN ('queued', 'sending');
CREATE INDEX messages_uncertain ON messages (conversation) WHERE status = 'uncertain';

-- Arrivals that belong to no conversation, or only changed one.
CREATE TABLE records (
    n           INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL,
    key         TEXT    NOT NULL UNIQUE,
    kind        TEXT    NOT NULL,
    line        TEXT    NOT NULL DEFAULT '',
    line_ref    TEXT    NOT NULL DEFAULT '',
    provider_id TEXT    NOT NULL DEFAULT '',
    person      TEXT    NOT NULL DEFAULT '', -- an alias
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL DEFAULT '',
    received_at INTEGER NOT NULL,
    raw         BLOB
) STRICT;
CREATE INDEX records_provider ON records (provider_id);
CREATE INDEX records_person ON records (person) WHERE person <> '';

CREATE TABLE tickets (
    ticket       TEXT    NOT NULL PRIMARY KEY,
    conversation INTEGER NOT NULL,
    area         TEXT    NOT NULL,
    tag          TEXT    NOT NULL DEFAULT '',
    opened_at    INTEGER NOT NULL,
    resolved_at  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_conversation ON tickets (conversation);

CREATE TABLE handoffs (
    n            INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    ticket       TEXT    NOT NULL,
    from_area    TEXT    NOT NULL DEFAULT '',
    area         TEXT    NOT NULL,
    tag          TEXT    NOT NULL DEFAULT '',
    note         TEXT    NOT NULL DEFAULT '',
    by           TEXT    NOT NULL,
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX handoffs_conversation ON handoffs (conversation);

CREATE TABLE audit (
    n            INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    actor        TEXT    NOT NULL,
    action       TEXT    NOT NULL,
    detail       TEXT    NOT NULL DEFAULT '',
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_conversation ON audit (conversation);

-- There is one writer, so pos grows in the order of the commits and without gaps; an event
-- above meta's 'numbered' is not visible yet.
CREATE TABLE events (
    pos          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL,
    conversation TEXT    NOT NULL, -- its id
    type         TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    data         BLOB    NOT NULL  -- JSON
) STRICT;

CREATE TABLE timers (
    conversation INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    due          INTEGER NOT NULL,
    PRIMARY KEY (conversation, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_due ON timers (due);

-- Reports that came before their message.
CREATE TABLE parked (
    provider_id TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    code        INTEGER NOT NULL DEFAULT 0,
    detail      TEXT    NOT NULL DEFAULT '',
    at          INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (provider_id, status)
) STRICT, WITHOUT ROWID;
CREATE INDEX parked_expiry ON parked (expires_at);

-- When somebody last wrote on each line that has a conversation.
CREATE TABLE lines (
    line         TEXT    NOT NULL PRIMARY KEY,
    last_inbound INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counters: 'numbered', 'ticket:<year>'.
CREATE TABLE meta (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
