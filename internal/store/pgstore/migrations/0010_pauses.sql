-- +goose Up
-- The queues that an operator paused, for a Redis that comes back empty.
CREATE TABLE psi_router.pauses (
    queue text NOT NULL PRIMARY KEY
);
