package pgstore

import (
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestOddTexts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "hola": "hola", "a\x00b": "a" + odd + "00b", "\xff": odd + "ff", odd: odd + odd, odd + "00": odd + odd + "00",
		"ñ 🙈 \uFFFD": "ñ 🙈 \uFFFD",
	} {
		if got := pack(in); got != want || unpack(got) != in {
			t.Errorf("%q: got %q and back %q, want %q", in, got, unpack(got), want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		in := rapid.OneOf(rapid.String(), rapid.StringMatching("[a\x00\uE07F0-9ñ]*")).Draw(rt, "text")
		in += string(rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes"))
		got := pack(in)
		if unpack(got) != in || !utf8.ValidString(got) {
			rt.Fatalf("%q: got %q and back %q", in, got, unpack(got))
		}
	})
	for _, not := range []string{odd, odd + "0", odd + "zz", "x" + odd} { // not written by us: anything but a panic
		unpack(not)
	}
}
