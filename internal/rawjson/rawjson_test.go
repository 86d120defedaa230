package rawjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/rawjson"
)

func parse(t testing.TB, text string) rawjson.Value {
	t.Helper()
	v, ok := rawjson.Parse([]byte(text))
	if !ok {
		t.Fatalf("Parse(%q) refused it", text)
	}
	return v
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{}`: true, ` [1] `: true, "\xef\xbb\xbf{}": true, `"x"`: true, `null`: true,
		``: false, `{`: false, `{}x`: false, `{'a':1}`: false, `hola`: false, "\x00": false,
	} {
		if _, ok := rawjson.Parse([]byte(text)); ok != want {
			t.Errorf("Parse(%q): ok %v, want %v", text, ok, want)
		}
	}
}

// TestParseWithin: brackets in strings add no depth, and JSON too deep for encoding/json is
// still told from text that is not JSON.
func TestParseWithin(t *testing.T) {
	t.Parallel()
	arrays := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for text, want := range map[string]error{
		`1`: nil, `[[{}]]`: nil, `[{"a":[]}]`: nil, `["[[[[", "\"[[[["]`: nil, `[[],[],[],[[]]]`: nil,
		`[[[[]]]]`: rawjson.ErrDepth, `{"a":{"b":{"c":[]}}}`: rawjson.ErrDepth, "\xef\xbb\xbf[[[[]]]]": rawjson.ErrDepth,
		`[[[[`: rawjson.ErrSyntax, `[[[[]]]`: rawjson.ErrSyntax, `"[[[[`: rawjson.ErrSyntax, `hola [[[[]]]]`: rawjson.ErrSyntax,
		arrays(10_000): rawjson.ErrDepth, arrays(10_001): rawjson.ErrDepth, objects(1 << 20): rawjson.ErrDepth,
		strings.Repeat("[", 1<<20): rawjson.ErrSyntax,
	} {
		v, err := rawjson.ParseWithin([]byte(text), 3)
		if !errors.Is(err, want) || (err == nil) != (v != nil) {
			t.Errorf("%.40s: got %v, want %v", text, err, want)
		}
	}
}

func TestReadsLeniently(t *testing.T) {
	t.Parallel()
	v := parse(t, `{ "s" : "a\"b\\" , "n":-12.5e1,"t":true,"q":"true","z":null, "o":{"in":[ 1 ,"2",{ } ,[]]},
		"e\u0073c":"\u00f1\ud83d\udc4b\ud800", "nul":"a\u0000b", "big":"9007199254740993" , "bad":"x12" }`)
	type read struct {
		Text string
		Int  int64
		Bool bool
		Here bool
	}
	got := map[string]read{}
	for _, key := range []string{"s", "n", "t", "q", "z", "o", "esc", "nul", "big", "bad", "none"} {
		m := v.Get(key)
		got[key] = read{m.Text(), m.Int(), m.Bool(), m.Exists()}
	}
	want := map[string]read{
		"s": {`a"b\`, 0, false, true}, "n": {"-12.5e1", -125, false, true}, "t": {"", 0, true, true},
		"q": {"true", 0, true, true}, "z": {}, "o": {"", 0, false, true}, "esc": {"ñ👋\uFFFD", 0, false, true},
		"nul": {"ab", 0, false, true}, "big": {"9007199254740993", 9007199254740993, false, true},
		"bad": {"x12", 0, false, true}, "none": {},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got(-) want(+):\n%s", diff)
	}
	var items []string
	for item := range v.Get("o", "in").Items() {
		items = append(items, string(item))
	}
	if diff := cmp.Diff(items, []string{"1", `"2"`, "{ }", "[]"}); diff != "" {
		t.Errorf("items got(-) want(+):\n%s", diff)
	}
	if got := v.Get("o", "in", "deeper"); got != nil {
		t.Errorf("Get through an array: got %s", got)
	}
}

// Each broken byte becomes one replacement character, as in encoding/json.
func TestBrokenUTF8(t *testing.T) {
	t.Parallel()
	var keys []string
	for key, member := range parse(t, "{\"\xce\xd9\":\"a\xffb\",\"\xe8\":\"ñ\"}").Members() {
		keys = append(keys, key, member.Text())
	}
	if diff := cmp.Diff(keys, []string{"\uFFFD\uFFFD", "a\uFFFDb", "\uFFFD", "ñ"}); diff != "" {
		t.Errorf("got(-) want(+):\n%s", diff)
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	second := time.Unix(1795000001, 0).UTC()
	for text, want := range map[string]time.Time{
		`"1795000001"`: second, `1795000001`: second, `1795000001000`: second, `"1795000001000"`: second,
		`1795000001000000`: second, `"1795000001.250"`: second.Add(250 * time.Millisecond),
		`1.795000001e9`:          second,
		`"2026-11-18T09:06:41Z"`: time.Date(2026, 11, 18, 9, 6, 41, 0, time.UTC), `"2026-11-18T06:06:41.5-03:00"`: time.Date(2026, 11, 18, 9, 6, 41, 5e8, time.UTC),
		`"2026-11-18T06:06:41-0300"`:           time.Date(2026, 11, 18, 9, 6, 41, 0, time.UTC),
		`"2026-11-18 09:06:41"`:                time.Date(2026, 11, 18, 9, 6, 41, 0, time.UTC),
		`"2026-11-18T09:06"`:                   time.Date(2026, 11, 18, 9, 6, 0, 0, time.UTC),
		`"2026-11-18 09:06"`:                   time.Date(2026, 11, 18, 9, 6, 0, 0, time.UTC),
		`"18/11/2026 09:06:41"`:                time.Date(2026, 11, 18, 9, 6, 41, 0, time.UTC),
		`"18/11/2026, 9:06:41"`:                time.Date(2026, 11, 18, 9, 6, 41, 0, time.UTC),
		`"18/11/2026 09:06"`:                   time.Date(2026, 11, 18, 9, 6, 0, 0, time.UTC),
		`"18/11/2026, 09:06"`:                  time.Date(2026, 11, 18, 9, 6, 0, 0, time.UTC),
		`"3/4/2026 09:06:41"`:                  time.Date(2026, 4, 3, 9, 6, 41, 0, time.UTC),
		`"11/18/2026 09:06:41"`:                {},
		`"2026/11/18 09:06:41"`:                time.Date(2026, 11, 18, 9, 6, 41, 0, time.UTC),
		`"2026-11-18 06:06:41-03"`:             time.Date(2026, 11, 18, 9, 6, 41, 0, time.UTC),
		`"2026-11-18 06:06:41.5-03"`:           time.Date(2026, 11, 18, 9, 6, 41, 5e8, time.UTC),
		`"2026-11-18 06:06:41 -0300"`:          time.Date(2026, 11, 18, 9, 6, 41, 0, time.UTC),
		`"2026-11-18 06:06:41-0300"`:           time.Date(2026, 11, 18, 9, 6, 41, 0, time.UTC),
		`"2026-11-18T06:06-03:00"`:             time.Date(2026, 11, 18, 9, 6, 0, 0, time.UTC),
		`"2026-11-18"`:                         {},
		`{"low":1795000001,"high":0}`:          second,
		`"1504902988"`:                         time.Unix(1504902988, 0).UTC(), // the dashboard's test
		`""`:                                   {},
		`"mañana"`:                             {},
		`0`:                                    {},
		`-5`:                                   {},
		`12`:                                   {},
		`null`:                                 {},
		`[]`:                                   {},
		`1e400`:                                {},
		`"NaN"`:                                {},
		`99999999999999999999999999`:           {},
		`"9999-99-99"`:                         {},
		`{"low":-2500000000,"high":"x"}`:       time.Unix(1794967296, 0).UTC(),
		`{"low":-2499967296,"high":0}`:         second.Add(-time.Second),
		`"0000000000000000000000001795000001"`: second,
	} {
		if got := parse(t, text).Time(); !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

func FuzzAgainstEncodingJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"x",{"b":null}],"c":"\u00f1\\\""}`, `[[],{},""]`, `{"":{"":""}}`, `"\\"`, ` {"a" : -0.5e3 } `, "{\"\xce\xd9\":1,\"\xe8\":2}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, ok := rawjson.Parse(body)
		if !ok {
			return
		}
		walk(t, v, 0)
		v.Time()
	})
}

// walk compares every value with encoding/json's reading of the same bytes.
func walk(t *testing.T, v rawjson.Value, depth int) {
	if !json.Valid(v) {
		t.Fatalf("not a value: %q", v)
	}
	if depth > 50 {
		return
	}
	switch {
	case v.IsObject():
		var want map[string]json.RawMessage
		if json.Unmarshal(v, &want) != nil {
			return
		}
		seen := map[string]bool{}
		for key, member := range v.Members() {
			seen[key] = true
			walk(t, member, depth+1)
		}
		if len(seen) != len(want) {
			t.Fatalf("%q: got %d members, want %d", v, len(seen), len(want))
		}
	case v.IsArray():
		var want []json.RawMessage
		if json.Unmarshal(v, &want) != nil {
			return
		}
		if v.Len() != len(want) {
			t.Fatalf("%q: got %d items, want %d", v, v.Len(), len(want))
		}
		i := 0
		for item := range v.Items() {
			if string(item) != string(want[i]) {
				t.Fatalf("%q: item %d: got %q, want %q", v, i, item, want[i])
			}
			walk(t, item, depth+1)
			i++
		}
	}
}
