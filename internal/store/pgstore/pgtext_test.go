package pgstore

import (
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestEscapedTexts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "hola": "hola", "a\x00b": "a" + escapeMark + "00b", "\xff": escapeMark + "ff", escapeMark: escapeMark + escapeMark, escapeMark + "00": escapeMark + escapeMark + "00",
		"ñ 🙈 \uFFFD": "ñ 🙈 \uFFFD",
	} {
		if got := escapeText(in); got != want || unescapeText(got) != in {
			t.Errorf("%q: got %q and back %q, want %q", in, got, unescapeText(got), want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		in := rapid.OneOf(rapid.String(), rapid.StringMatching("[a\x00\uE07F0-9ñ]*")).Draw(rt, "text")
		in += string(rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes"))
		got := escapeText(in)
		if unescapeText(got) != in || !utf8.ValidString(got) {
			rt.Fatalf("%q: got %q and back %q", in, got, unescapeText(got))
		}
	})
	for _, not := range []string{escapeMark, escapeMark + "0", escapeMark + "zz", "x" + escapeMark} { // not written by us: must not panic
		unescapeText(not)
	}
}
