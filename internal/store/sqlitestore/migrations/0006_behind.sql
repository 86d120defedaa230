-- +goose Up
-- What is behind stays so, that is since stays set, until it has no event above its
-- cursor: nobody needs to know up to where.
ALTER TABLE cursors DROP COLUMN want;
