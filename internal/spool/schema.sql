-- Jobs that wait for the shared queue, in order of arrival. n is never reused, not
-- even after the table was empty. Lanes and ids are bytes as they came; at is Unix
-- nanoseconds.
CREATE TABLE spooled (
	n     INTEGER PRIMARY KEY AUTOINCREMENT,
	queue TEXT    NOT NULL,
	lane  BLOB    NOT NULL,
	id    BLOB    NOT NULL,
	at    INTEGER NOT NULL,
	body  BLOB    NOT NULL,
	UNIQUE (queue, id)
) STRICT;
