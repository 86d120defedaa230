package sqlitestore

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/store/storetest"
	"github.com/psivisionhub/psi-router/internal/store/transfer"
)

// TestNothingIsLeftBehind: every column of every table is carried.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), options(filepath.Join(t.TempDir(), "store.db"), storetest.Settings(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	have := map[string][]string{}
	err = s.read(t.Context(), "columns", func(q querier) error {
		return eachRow(q, `SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
			WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'goose%' AND m.name NOT LIKE 'dut%' AND m.name <> 'pair'`, nil, func(rows *sql.Rows) error {
			var table, column string
			err := rows.Scan(&table, &column)
			if table == "meta" {
				table = "counters"
			}
			have[table] = append(have[table], column)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	carried := map[string][]string{}
	for _, table := range transfer.Tables() {
		for _, c := range table.Columns {
			carried[table.Name] = append(carried[table.Name], c.Name)
		}
	}
	for _, columns := range []map[string][]string{have, carried} {
		for _, list := range columns {
			slices.Sort(list)
		}
	}
	if diff := cmp.Diff(carried, have); diff != "" {
		t.Errorf("carried, in the file (-got +want):\n%s", diff)
	}
}
