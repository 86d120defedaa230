-- +goose Up
-- since stays set until the conversation has no event above the cursor: nobody needs want,
-- and more events change no row.
ALTER TABLE psi_router.cursors DROP COLUMN want;
