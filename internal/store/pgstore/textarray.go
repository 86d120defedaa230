package pgstore

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// textArray encodes a column of texts in one go. The codec of pgx examines each element
// anew, and texts are most of what a turn writes.
type textArray struct{ *pgtype.ArrayCodec }

// PlanEncode implements pgtype.Codec.
func (c textArray) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.([]string); ok && format == pgtype.BinaryFormatCode {
		return encodeTexts{}
	}
	return c.ArrayCodec.PlanEncode(m, oid, format, value)
}

type encodeTexts struct{}

// Encode implements pgtype.EncodePlan: the number of dimensions, whether there are NULLs,
// the type of the elements; length and first index of the one dimension; and each element
// after its length.
func (encodeTexts) Encode(value any, buf []byte) ([]byte, error) {
	list := value.([]string) //nolint:forcetypeassert // see PlanEncode
	if list == nil {
		return nil, nil
	}
	size := 4 * (5 + len(list))
	for _, s := range list {
		size += len(s)
	}
	buf = slices.Grow(buf, size)
	put := func(v int) { buf = binary.BigEndian.AppendUint32(buf, uint32(v)) } //nolint:gosec // a message has less than 1 GB
	for _, v := range [...]int{1, 0, pgtype.TextOID, len(list), 1} {
		put(v)
	}
	for _, s := range list {
		put(len(s))
		buf = append(buf, s...)
	}
	return buf, nil
}

// registerTextArray registers textArray on a new connection.
func registerTextArray(_ context.Context, c *pgx.Conn) error {
	types := c.TypeMap()
	text, ok := types.TypeForOID(pgtype.TextOID)
	if ok {
		codec := textArray{&pgtype.ArrayCodec{ElementType: text}}
		types.RegisterType(&pgtype.Type{Name: "_text", OID: pgtype.TextArrayOID, Codec: codec})
	}
	return nil
}
