package pgstore

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/store/transfer"
)

// TestNothingIsMissing: a move carries every column of every table, except those that
// belong to this database or follow from the rest.
func TestNothingIsMissing(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	s := process(t, server.URL(server.Borrow(t)))
	rows, err := s.pool.Query(t.Context(), `SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'psi_router' AND table_name NOT IN ('goose_db_version', 'pending', 'batches', 'installation', 'owner', 'move', 'move_marks', 'duties', 'duty_reports', 'witnesses')`)
	if err != nil {
		t.Fatal(err)
	}
	have, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	carried := []string{"events.batch", "events.i"}
	for _, table := range transfer.Tables() {
		for _, c := range table.Columns {
			if name := table.Name + "." + c.Name; name != "events.pos" {
				carried = append(carried, name)
			}
		}
	}
	slices.Sort(have)
	slices.Sort(carried)
	if diff := cmp.Diff(carried, have); diff != "" {
		t.Errorf("carried, in the database (-got +want):\n%s", diff)
	}
}
