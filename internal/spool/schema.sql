-- Jobs that wait to be handed on, in the order in which they came. n is never
-- given twice, also when the table was empty. Lanes and ids are bytes as they
-- came; at is nanoseconds since 1970.
CREATE TABLE spooled (
	n     INTEGER PRIMARY KEY AUTOINCREMENT,
	queue TEXT    NOT NULL,
	lane  BLOB    NOT NULL,
	id    BLOB    NOT NULL,
	at    INTEGER NOT NULL,
	body  BLOB    NOT NULL,
	UNIQUE (queue, id)
) STRICT;
