-- +goose Up
-- A contact that was blocked here, and that WhatsApp did not block (yet).
ALTER TABLE psi_router.contacts ADD COLUMN blocked_here boolean NOT NULL DEFAULT false;
UPDATE psi_router.contacts SET blocked_here = true WHERE blocked;
CREATE INDEX contacts_id ON psi_router.contacts (id);

-- opened: its first event was added. last_area: the team that had it last. file_at: when a
-- file was last answered. asked_at: the person's last message that deserves an answer;
-- said_at: our last accepted answer; left_at and left_reason: since when, and why, that
-- message has no answer; apologized_for: the message that got an apology.
ALTER TABLE psi_router.conversations
    ADD COLUMN opened boolean NOT NULL DEFAULT true,
    ADD COLUMN last_area text NOT NULL DEFAULT '',
    ADD COLUMN file_at timestamptz,
    ADD COLUMN asked_at timestamptz,
    ADD COLUMN said_at timestamptz,
    ADD COLUMN left_at timestamptz,
    ADD COLUMN left_reason text NOT NULL DEFAULT '',
    ADD COLUMN apologized_for timestamptz;
CREATE INDEX conversations_left ON psi_router.conversations (left_at, n) WHERE left_at IS NOT NULL;

-- notice is the line of a message that does not take over the conversation, '' for others.
ALTER TABLE psi_router.messages
    ADD COLUMN notice text NOT NULL DEFAULT '',
    ADD COLUMN marketing boolean NOT NULL DEFAULT false;
-- An untried notice waits for the pump.
ALTER TABLE psi_router.pending
    ADD COLUMN notice text NOT NULL DEFAULT '',
    ADD COLUMN tried boolean NOT NULL DEFAULT false;
CREATE INDEX pending_owed ON psi_router.pending (since, n) WHERE NOT doubt AND notice = '';
CREATE INDEX pending_notices ON psi_router.pending (notice, since, n) WHERE NOT doubt AND notice <> '' AND NOT tried;

UPDATE psi_router.conversations t SET last_area = coalesce(nullif(area, ''),
        (SELECT h.area FROM psi_router.handoffs h WHERE h.conversation = t.n ORDER BY h.n DESC LIMIT 1))
    WHERE area <> '' OR EXISTS (SELECT FROM psi_router.handoffs h WHERE h.conversation = t.n);

-- People without marketing got no answer until now: those who wrote in the last week and
-- still have none are left.
UPDATE psi_router.conversations t SET asked_at = last_inbound, left_at = now(), left_reason = 'opted_out'
    FROM psi_router.contacts c
    WHERE c.opted_out AND NOT c.blocked AND t.contact = c.n AND t.state IN ('menu', 'closed')
        AND t.last_inbound > now() - interval '7 days' AND t.last_inbound > coalesce(t.last_human, 'epoch')
        AND (SELECT m.reason FROM psi_router.messages m WHERE m.conversation = t.n AND m.direction = 'inbound' ORDER BY m.n DESC LIMIT 1) = 'opted_out';
