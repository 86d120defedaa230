-- +goose Up
-- A person counts as left for seven days from their last message, which left_at does not
-- tell.
DROP INDEX conversations_left;
CREATE INDEX conversations_left ON conversations (asked_at) WHERE left_at > 0;

-- chose_at: when the person last chose whether they want marketing.
ALTER TABLE contacts ADD COLUMN chose_at INTEGER NOT NULL DEFAULT 0;
