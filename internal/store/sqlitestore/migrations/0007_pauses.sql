-- +goose Up
-- The queues that an operator paused; the queue's own file has them too.
CREATE TABLE pauses (
    queue TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
