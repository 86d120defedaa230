-- +goose Up
-- A report is for its line and its recipient. Those that are parked already have neither:
-- they match no message, and expire within the hour.
ALTER TABLE psi_router.parked ADD COLUMN line text NOT NULL DEFAULT '';
ALTER TABLE psi_router.parked ADD COLUMN person text NOT NULL DEFAULT ''; -- an alias
ALTER TABLE psi_router.parked DROP CONSTRAINT parked_pkey;
ALTER TABLE psi_router.parked ADD PRIMARY KEY (provider_id, line, person, status);
