// Package sqlite is shared by the engines on SQLite: one durable file (WAL, every commit
// synced), owned by one process, written by one goroutine with group commits, and read by a
// small pool. It must never know an engine's tables, nor retry or hide an error.
//
// # Use
//
//	db, err := sqlite.Open(ctx, sqlite.Options{
//		Path:    filepath.Join(dataDir, "store.db"),
//		Migrate: func(ctx context.Context, db *sql.DB) error { … goose … },
//	})
//
//	err = db.Write(ctx, func(tx *sqlite.Tx) error {
//		if _, err := tx.Exec(`INSERT INTO …`, …); err != nil {
//			return fmt.Errorf("insert message: %w", err)
//		}
//		return nil
//	})
//
// Write returns after the commit: nil means that the data is on disk. The functions of many
// callers share one transaction and one sync. If one returns an error, its writes are undone
// and the others' are kept. Three rules follow:
//
//   - A function may run more than once. It must set its results, not add to them, and touch
//     nothing else outside the transaction. Effects of the commit go into tx.OnCommit.
//   - It must not wait for anything, as all other writes wait for it.
//   - It must not begin, commit or roll back.
//
// Read gives a function a consistent snapshot that includes every finished Write. Keep it
// short: a long reader makes the WAL grow.
//
// Statements are prepared once per connection and text, so write them as constants with
// placeholders, and never put values into the text. Close rows before the same text is run
// again. Store times as integers: the driver parses columns declared DATE, DATETIME or
// TIMESTAMP.
//
// Errors keep their cause. Unavailable(err) reports that the database could not be written or
// read just now (full, I/O error, busy, closed) through no fault of the caller; Full(err) that
// there was no room.
package sqlite
