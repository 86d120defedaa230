-- +goose Up
-- A report is for the line that it came in on, and for its recipient. Those that wait
-- already have neither: they are given to nobody, and gone within the hour.
ALTER TABLE psi_router.parked ADD COLUMN line text NOT NULL DEFAULT '';
ALTER TABLE psi_router.parked ADD COLUMN person text NOT NULL DEFAULT ''; -- an alias
ALTER TABLE psi_router.parked DROP CONSTRAINT parked_pkey;
ALTER TABLE psi_router.parked ADD PRIMARY KEY (provider_id, line, person, status);
