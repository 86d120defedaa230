-- +goose Up
-- A person counts as left for seven days from their last message, which left_at does not
-- tell.
DROP INDEX psi_router.conversations_left;
CREATE INDEX conversations_left ON psi_router.conversations (asked_at, n) WHERE left_at IS NOT NULL;

-- chose_at: when the person last chose whether they want marketing.
ALTER TABLE psi_router.contacts ADD COLUMN chose_at timestamptz;
