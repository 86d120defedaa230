package job

import (
	"testing"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
)

func TestArrival(t *testing.T) {
	phone := inbound.Person{Phone: "5491155550001"}
	for name, c := range map[string]struct {
		a    inbound.Arrival
		want queue.Job
		line string
	}{
		"message":      {inbound.Arrival{Kind: inbound.Message, ID: "w", Line: "wsp4", Person: phone}, queue.Job{Queue: "inbound", Lane: "wsp4:5491155550001"}, "wsp4"},
		"foreign line": {inbound.Arrival{Kind: inbound.Message, ID: "w", LineRef: "99", Person: phone}, queue.Job{Queue: "inbound", Lane: "?99:5491155550001"}, ""},
		"nobody":       {inbound.Arrival{Kind: inbound.Failure, ID: "w", Line: "wsp4"}, queue.Job{Queue: "inbound", Lane: "wsp4:-failure"}, "wsp4"},
		"status": {
			inbound.Arrival{Kind: inbound.Status, ID: "w", Line: "wsp4", Person: phone, Report: &inbound.Report{Status: "read"}},
			queue.Job{Queue: "status", Lane: "wsp4:w"},
			"wsp4",
		},
	} {
		got, err := Arrival(c.a)
		if err != nil || got.Queue != c.want.Queue || got.Lane != c.want.Lane || got.ID != c.a.Key() {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		if back, err := inbound.Decode(got.Body); err != nil || back.ID != c.a.ID {
			t.Errorf("%s: body: got %+v, %v", name, back, err)
		}
		if line := Line(got); line != c.line {
			t.Errorf("%s: line: got %q, want %q", name, line, c.line)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		job         queue.Job
		line, owner string
	}{
		{WakeSends("wsp4", "c"), "wsp4", "wsp4"},
		{WakeEvents("crm", "c"), "", "crm"},
		{queue.Job{Queue: Media, Lane: "m"}, "", ""},
		{queue.Job{Queue: "send"}, "", ""},
	} {
		_, owner, owned := Split(c.job.Queue)
		if owner != c.owner || owned != (owner != "") || Line(c.job) != c.line || c.job.ID != "" {
			t.Errorf("%+v: line %q, owner %q %t", c.job, Line(c.job), owner, owned)
		}
	}
}
