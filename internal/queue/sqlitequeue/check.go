package sqlitequeue

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// checks are statements that return a line for each inconsistency.
var checks = []string{
	// Every lane has a first job, and every job a lane of its own queue.
	`SELECT 'lane ' || id || ' has head ' || head || ', its first job is ' || ifnull((SELECT min(id) FROM job WHERE lane = lane.id), 'none')
	 FROM lane WHERE head IS NOT (SELECT min(id) FROM job WHERE lane = lane.id)`,
	`SELECT 'job ' || j.id || ' has no lane' FROM job j LEFT JOIN lane l ON l.id = j.lane WHERE l.id IS NULL OR l.queue <> j.id >> 40`,
	`SELECT 'lane ' || id || ' is never due' FROM lane WHERE due <= 0`,
	// Counters equal a count of their rows.
	`SELECT name || ': depth is ' || depth || ', counted ' || n FROM
	 (SELECT *, (SELECT count(*) FROM job WHERE job.id BETWEEN queue.id << 40 AND (queue.id + 1 << 40) - 1) AS n FROM queue) WHERE depth <> n`,
	`SELECT name || ': in flight is ' || in_flight || ', counted ' || n FROM
	 (SELECT *, (SELECT count(*) FROM lane WHERE lane.queue = queue.id AND lease <> 0) AS n FROM queue) WHERE in_flight <> n`,
	`SELECT name || ': dead is ' || dead || ', counted ' || n FROM
	 (SELECT *, (SELECT count(*) FROM dead WHERE dead.queue = queue.id) AS n FROM queue) WHERE dead <> n`,
	// Every accepted job is somewhere.
	`SELECT name || ': enqueued is ' || enqueued || ', accounted for ' || (done + depth + dead + dropped)
	 FROM queue WHERE enqueued <> done + depth + dead + dropped`,
	`SELECT name || ': last is behind its jobs' FROM queue WHERE last < (SELECT max(id) FROM job WHERE id < queue.id + 1 << 40 AND id >= queue.id << 40) & 0xffffffffff`,
	`SELECT 'file: ' || quick_check FROM pragma_quick_check WHERE quick_check <> 'ok'`,
}

// Check implements queue.Operator.
func (e *Engine) Check(ctx context.Context) ([]string, error) {
	var wrong []string
	err := e.read(ctx, "check", func(tx *sqlite.Tx) error {
		wrong = nil
		for _, query := range checks {
			err := tx.Each(query, nil, func(row *sql.Rows) error {
				var line string
				err := row.Scan(&line)
				wrong = append(wrong, line)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", query, err)
			}
		}
		return nil
	})
	return wrong, err
}
