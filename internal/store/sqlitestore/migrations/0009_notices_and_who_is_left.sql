-- +goose Up
-- A contact that was blocked here, and that WhatsApp did not block (yet).
ALTER TABLE contacts ADD COLUMN blocked_here INTEGER NOT NULL DEFAULT 0;
UPDATE contacts SET blocked_here = 1 WHERE blocked;
CREATE INDEX contacts_id ON contacts (id);

-- opened: its first event was added. last_area: the team that had it last. file_at: when a
-- file was last answered. asked_at: the person's last message that deserves an answer;
-- said_at: our last accepted answer; left_at and left_reason: since when, and why, that
-- message has no answer; apologized_for: the message that got an apology.
ALTER TABLE conversations ADD COLUMN opened INTEGER NOT NULL DEFAULT 1;
ALTER TABLE conversations ADD COLUMN last_area TEXT NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN file_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN asked_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN said_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN left_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN left_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN apologized_for INTEGER NOT NULL DEFAULT 0;
CREATE INDEX conversations_left ON conversations (left_at) WHERE left_at > 0;

-- notice is the line of a message that does not take over the conversation, '' for others.
-- An untried notice waits for the pump.
ALTER TABLE messages ADD COLUMN notice TEXT NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN marketing INTEGER NOT NULL DEFAULT 0;
CREATE INDEX messages_notices ON messages (notice, since) WHERE notice <> '' AND status = 'queued' AND attempts = 0;

UPDATE conversations SET last_area = CASE WHEN area <> '' THEN area ELSE
        (SELECT h.area FROM handoffs h WHERE h.conversation = conversations.n ORDER BY h.n DESC LIMIT 1) END
    WHERE area <> '' OR EXISTS (SELECT 1 FROM handoffs h WHERE h.conversation = conversations.n);

-- People without marketing got no answer until now: those who wrote in the last week and
-- still have none are left.
UPDATE conversations SET asked_at = last_inbound, left_at = unixepoch('now') * 1000000, left_reason = 'opted_out'
    WHERE contact IN (SELECT n FROM contacts WHERE opted_out AND NOT blocked) AND state IN ('menu', 'closed')
        AND last_inbound > (unixepoch('now') - 7 * 86400) * 1000000 AND last_inbound > last_human
        AND (SELECT m.reason FROM messages m WHERE m.conversation = conversations.n AND m.direction = 'inbound' ORDER BY m.n DESC LIMIT 1) = 'opted_out';
