package api

import "fmt"

// Page is a page of a list: cursor and limit. Embedded in inputs.
type Page struct {
	Cursor string `query:"cursor" maxLength:"500" doc:"next_cursor of the page before; without it, the first page." example:""`
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"200" doc:"How many at most." example:"50"`
}

// A scoped key may see few rows of a list. One request reads at most maxScans times
// scanSize rows, then answers with what it found and a cursor.
const (
	scanSize = 200
	maxScans = 20
)

// scanLimit returns how many rows to read at once for a page of n.
func (c caller) scanLimit(n int) int {
	if c.unscoped() {
		return n
	}
	return scanSize
}

// scan reads a list from cursor until it has a page of rows that the caller may see. view
// returns the item of a row, its cursor, and whether the caller sees it. next is nil at the
// end of the list.
func scan[Row, Item any, Cursor string | int64](
	actor caller, limit int, cursor Cursor,
	read func(from Cursor, most int) ([]Row, error), view func(Row) (Item, Cursor, bool),
) (items []Item, next *string, err error) {
	items = []Item{} // [] and not null
	size := actor.scanLimit(limit) + 1
	for range maxScans {
		rows, err := read(cursor, size)
		if err != nil {
			return nil, nil, err
		}
		for _, row := range rows {
			item, at, visible := view(row)
			if visible && len(items) == limit { // there is more
				return items, cursorText(cursor), nil
			}
			if visible {
				items = append(items, item)
			}
			cursor = at
		}
		if len(rows) < size {
			return items, nil, nil
		}
	}
	return items, cursorText(cursor), nil
}

// views are those of the rows that are visible.
func views[Row, View any](rows []Row, visible func(Row) bool, view func(Row) View) []View {
	all := []View{} // [] and not null
	for _, row := range rows {
		if visible(row) {
			all = append(all, view(row))
		}
	}
	return all
}

func cursorText[Cursor string | int64](c Cursor) *string {
	text := fmt.Sprint(c)
	return &text
}
