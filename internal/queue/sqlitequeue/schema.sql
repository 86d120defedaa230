-- A lane row exists if and only if it has jobs. Its due is the next time at which it may be
-- served: now, the retry time or the end of the lease. Times are nanoseconds since 1970.
-- Keys and ids are bytes as they came.
CREATE TABLE queue (
	id         INTEGER PRIMARY KEY,
	name       TEXT NOT NULL UNIQUE,
	paused     INTEGER NOT NULL DEFAULT 0,
	held_until INTEGER NOT NULL DEFAULT 0,
	held_for   TEXT NOT NULL DEFAULT '',
	rate       REAL NOT NULL DEFAULT 0,
	burst      INTEGER NOT NULL DEFAULT 0,
	tat        INTEGER NOT NULL DEFAULT 0, -- theoretical arrival time of the limit
	last       INTEGER NOT NULL DEFAULT 0, -- sequence of the newest job
	depth      INTEGER NOT NULL DEFAULT 0,
	in_flight  INTEGER NOT NULL DEFAULT 0,
	dead       INTEGER NOT NULL DEFAULT 0,
	enqueued   INTEGER NOT NULL DEFAULT 0,
	duplicates INTEGER NOT NULL DEFAULT 0,
	done       INTEGER NOT NULL DEFAULT 0,
	retried    INTEGER NOT NULL DEFAULT 0,
	refused    INTEGER NOT NULL DEFAULT 0,
	stalled    INTEGER NOT NULL DEFAULT 0,
	dropped    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE lane (
	id      INTEGER PRIMARY KEY,
	queue   INTEGER NOT NULL,
	key     BLOB NOT NULL,
	due     INTEGER NOT NULL,
	head    INTEGER NOT NULL,            -- its first job
	lease   INTEGER NOT NULL DEFAULT 0,  -- who runs the head; 0 is nobody
	counted INTEGER NOT NULL DEFAULT 0,  -- attempts of the head that count
	suspect INTEGER NOT NULL DEFAULT 0,  -- a lease of the head ran out
	err     TEXT NOT NULL DEFAULT '',
	UNIQUE (queue, key)
) STRICT;
CREATE INDEX lane_due ON lane (queue, due, head);

-- id is queue.id << 40 | sequence, so that the oldest job of a queue is the
-- first of its range.
CREATE TABLE job (
	id       INTEGER PRIMARY KEY,
	lane     INTEGER NOT NULL,
	enqueued INTEGER NOT NULL,
	redriven INTEGER NOT NULL DEFAULT 0,
	key      BLOB,
	body     BLOB
) STRICT;
CREATE INDEX job_lane ON job (lane);

-- Hashes of IDs, 16 bytes each, in order of arrival; their index is in memory.
CREATE TABLE seen (
	id     INTEGER PRIMARY KEY,
	gen    INTEGER NOT NULL, -- half windows since 1970
	hashes BLOB NOT NULL
) STRICT;
CREATE INDEX seen_gen ON seen (gen);

CREATE TABLE dead (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	queue    INTEGER NOT NULL,
	lane     BLOB NOT NULL,
	key      BLOB,
	body     BLOB,
	attempts INTEGER NOT NULL,
	err      TEXT NOT NULL,
	enqueued INTEGER NOT NULL,
	died     INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_queue ON dead (queue);
