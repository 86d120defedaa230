-- +goose Up
-- since stays set until the conversation has no event above the cursor: nobody needs want.
ALTER TABLE cursors DROP COLUMN want;
