// Package sqlite is what the engines on SQLite share: one file opened the way
// that keeps a promise (WAL, every commit synced), owned by one process, written
// by one goroutine whose commits carry everybody who waits, and read by a small
// pool. It knows no table of anybody, and must never retry or hide an error.
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
// Write returns after the commit: nil means that it is on the disk. The
// functions of many callers share one transaction, and one sync, without seeing
// each other: what a function that returns an error has written is undone, its
// neighbours are not. Three rules follow from that:
//
//   - A function may run more than once. It must set its results, not add to
//     them, and touch nothing else outside the transaction; what must follow the
//     commit goes into tx.OnCommit.
//   - It must not wait for anything: everybody else's writes wait for it.
//   - It must not begin, commit or roll back by itself.
//
// Read gives a function a consistent snapshot that sees every finished Write.
// Keep it short: a forgotten reader keeps the WAL growing.
//
// Statements are prepared once for each connection and text, so write them as
// constants with placeholders; never put values into the text. Close rows before
// the same text is run again. Times are best kept as integers: a column declared
// DATE, DATETIME or TIMESTAMP is parsed by the driver.
//
// Errors keep their cause. Unavailable(err) says that the database could not be
// written or read just now (full, input/output, busy, closed) and the caller did
// nothing wrong; Full(err) that room is missing.
package sqlite
