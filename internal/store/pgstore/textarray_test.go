package pgstore

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgtype"
)

// TestTextArray: the encoding is that of pgx's codec.
func TestTextArray(t *testing.T) {
	t.Parallel()
	plain := pgtype.NewMap()
	text, _ := plain.TypeForOID(pgtype.TextOID)
	ours := textArray{&pgtype.ArrayCodec{ElementType: text}}
	for _, list := range [][]string{nil, {}, {""}, {"hola"}, {"", "¿qué?", "a\nb", `"{}"`, "NULL"}, make([]string, 400)} {
		want, err := plain.Encode(pgtype.TextArrayOID, pgtype.BinaryFormatCode, list, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ours.PlanEncode(plain, pgtype.TextArrayOID, pgtype.BinaryFormatCode, list).Encode(list, []byte("x"))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-pgx +ours):\n%s", list, err, diff)
		}
	}
	for _, other := range []any{[]*string{nil}, []int64{1}} {
		plan := ours.PlanEncode(plain, pgtype.TextArrayOID, pgtype.BinaryFormatCode, other)
		if _, texts := plan.(encodeTexts); texts {
			t.Errorf("%s taken for texts", fmt.Sprintf("%T", other))
		}
	}
}
