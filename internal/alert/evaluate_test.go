package alert

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func testRules() []Rule {
	return []Rule{
		{ID: "cause", Measure: "cause", Above: 0, For: time.Minute, Clear: time.Minute},
		{ID: "age", Measure: "age", Above: 60, For: 2 * time.Minute, Clear: time.Minute, InhibitedBy: []Inhibitor{{Rule: "cause", SameSubject: true}}},
	}
}

// TestEvaluate plays rounds, 30 s apart unless a case says otherwise, and compares the
// notices: +rule/subject for a new incident, -rule/subject for a resolved one.
func TestEvaluate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		// A round is "measure/subject=value …"; "?measure" is one that could not be taken,
		// "@10m" lets that time pass first.
		looks []string
		want  []string // index of the round, and its notices
	}{
		{"well", []string{"age/a=10", "age/a=60", ""}, nil},
		{"long enough", []string{"age/a=61", "age/a=70", "age/a=90", "age/a=120", "age/a=150", "age/a=160"}, []string{"4 +age/a"}},
		{"not long enough", []string{"age/a=61", "age/a=70", "age/a=10", "age/a=61", "age/a=70", "age/a=90", "age/a=100"}, nil},
		{
			"over after a while",
			[]string{"cause/=1", "cause/=1", "cause/=1", "", "", ""},
			[]string{"2 +cause/", "5 -cause/"},
		},
		{
			"it flaps: one message",
			[]string{"cause/=1", "cause/=1", "cause/=1", "", "cause/=1", "", "cause/=1", "", "", ""},
			[]string{"2 +cause/", "9 -cause/"},
		},
		{
			"each subject has its own",
			[]string{"cause/a=1", "cause/a=1 cause/b=1", "cause/a=1 cause/b=1", "cause/b=1", "cause/b=1", "cause/b=1"},
			[]string{"2 +cause/a", "3 +cause/b", "5 -cause/a"},
		},
		{
			"what explains it speaks alone",
			[]string{"cause/a=1 age/a=61 age/b=61", "cause/a=1 age/a=61 age/b=61", "cause/a=1 age/a=61 age/b=61", "cause/a=1 age/a=90 age/b=61", "cause/a=1 age/a=99 age/b=61"},
			[]string{"2 +cause/a", "4 +age/b"},
		},
		{
			"and what goes on after it begins anew",
			[]string{"cause/a=1 age/a=61", "cause/a=1 age/a=61", "cause/a=1 age/a=61", "age/a=61", "age/a=61", "age/a=61", "age/a=61", "age/a=61", "age/a=61", "age/a=61"},
			[]string{"2 +cause/a", "5 -cause/a", "9 +age/a"},
		},
		{
			"nothing is concluded from what is not known",
			[]string{"cause/=1", "cause/=1", "cause/=1", "?cause", "?cause", "?cause", "?cause", "cause/=1", "", "", ""},
			[]string{"2 +cause/", "10 -cause/"},
		},
		{"what began before nobody looked begins anew", []string{"cause/=1", "@10m cause/=1", "cause/=1", "cause/=1"}, []string{"3 +cause/"}},
		{
			"an open incident outlives that, told once",
			[]string{"cause/=1", "cause/=1", "cause/=1", "@10m cause/=1", "", "@10m ", "", ""},
			[]string{"2 +cause/", "7 -cause/"},
		},
		{"the clock goes back", []string{"cause/=1", "@-1h cause/=1", "cause/=1", "cause/=1"}, []string{"3 +cause/"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			s, now := State{}, noon()
			for i, look := range tc.looks {
				in := Samples{Unknown: map[Measure]bool{}}
				step := 30 * time.Second
				for _, word := range strings.Fields(look) {
					switch word[0] {
					case '@':
						step, _ = time.ParseDuration(word[1:])
					case '?':
						in.Unknown[Measure(word[1:])] = true
					default:
						var v Sample
						name, value, _ := strings.Cut(word, "=")
						m, subject, _ := strings.Cut(name, "/")
						v.Measure, v.Subject = Measure(m), subject
						fmt.Sscan(value, &v.Value)
						in.Values = append(in.Values, v)
					}
				}
				now = now.Add(step)
				before := s.clone()
				next, notices := Evaluate(testRules(), in, s, now)
				if diff := cmp.Diff(before, s.clone()); diff != "" {
					t.Fatalf("it changed what it was given:\n%s", diff)
				}
				s = next
				for _, n := range notices {
					sign := "+"
					if n.Resolved {
						sign = "-"
					}
					got = append(got, fmt.Sprintf("%d %s%s/%s", i, sign, n.Rule, n.Subject))
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestARemovedRule(t *testing.T) {
	t.Parallel()
	s := State{At: noon(), Incidents: map[string]*Incident{"gone/x": {Rule: "gone", Subject: "x", FiredAt: noon()}}}
	s, notices := Evaluate(testRules(), Samples{}, s, noon().Add(time.Minute))
	if len(notices) != 0 || len(s.Incidents) != 0 {
		t.Errorf("got %v, %v", s, notices)
	}
}

func TestHours(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("ART", -3*3600)
	h := Hours{Zone: zone}
	for day := time.Monday; day <= time.Friday; day++ {
		h.Spans = append(h.Spans, Span{day, 9 * time.Hour, 18 * time.Hour})
	}
	h.Spans = append(h.Spans, Span{time.Saturday, 9*time.Hour + 30*time.Minute, 13 * time.Hour})
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, zone) }
	for _, tc := range []struct {
		from, to time.Time
		want     time.Duration
	}{
		{at(24, 10, 0), at(24, 12, 0), 2 * time.Hour},                                         // a Tuesday
		{at(24, 7, 0), at(24, 10, 0), time.Hour},                                              // before it begins
		{at(24, 17, 0), at(25, 10, 0), 2 * time.Hour},                                         // over night
		{at(27, 17, 0), at(30, 10, 0), 5*time.Hour + 30*time.Minute},                          // over the weekend
		{at(24, 20, 0), at(25, 8, 0), 0},                                                      // outside working hours
		{at(24, 12, 0), at(24, 11, 0), 0},                                                     // to before from
		{at(1, 0, 0).AddDate(-1, 0, 0), at(24, 9, 0), 2 * (45*3600 + 3.5*3600) * time.Second}, // two weeks at most
	} {
		if got := h.Between(tc.from.UTC(), tc.to); got != tc.want {
			t.Errorf("%v to %v: got %v, want %v", tc.from, tc.to, got, tc.want)
		}
	}
	for at, want := range map[time.Time]bool{
		at(24, 9, 0): true, at(24, 8, 59): false, at(24, 18, 0): false, at(28, 12, 0): true, at(29, 12, 0): false,
		time.Date(2026, 11, 24, 20, 59, 0, 0, time.UTC): true,
	} {
		if got := h.Contains(at); got != want {
			t.Errorf("%v: got %v", at, got)
		}
	}
}

func TestInhibitors(t *testing.T) {
	t.Parallel()
	held := &Incident{Rule: "queue_held", Subject: "send:wsp4"}
	for _, tc := range []struct {
		c       Inhibitor
		subject string
		want    bool
	}{
		{Inhibitor{Rule: "queue_held"}, "", true},
		{Inhibitor{Rule: "other"}, "", false},
		{Inhibitor{Rule: "queue_held", SameSubject: true}, "send:wsp4", true},
		{Inhibitor{Rule: "queue_held", SameSubject: true}, "inbound", false},
		{Inhibitor{Rule: "queue_held", SubjectPrefixes: []string{"inbound", "send:"}}, "", true},
		{Inhibitor{Rule: "queue_held", SubjectPrefixes: []string{"events:"}}, "", false},
	} {
		if got := tc.c.matches(held, tc.subject); got != tc.want {
			t.Errorf("%+v, %q: got %v", tc.c, tc.subject, got)
		}
	}
}
