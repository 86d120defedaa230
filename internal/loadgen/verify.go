package loadgen

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Row is a message as the router's API tells it.
type Row struct {
	ID           string // the router's
	Conversation string
	Direction    string // inbound, outbound
	Author       string
	Status       string
	Reason       string
	ProviderID   string
	// When it came, and when it was handled; zero where the API does not say.
	ReceivedAt, CreatedAt time.Time
}

// Post is a message that WhatsApp accepted from the router.
type Post struct {
	Ref        string // biz_opaque_callback_data: the router's id
	ProviderID string // the id that it was given
}

// Evidence is what a verdict is made from.
type Evidence struct {
	Messages iter.Seq[Message] // what was written: Report.Messages
	Rows     []Row             // what is stored; of one conversation oldest first
	Posts    []Post            // what was sent, in order
	// NoReplyCapture says that nobody watched what was sent: rows alone are judged.
	NoReplyCapture bool
	// Replies says how many answers a message deserves; nil does not count
	// them. It is asked about every message that is stored.
	Replies func(Message) int
}

// Verdict lists what is wrong. Nothing listed is proof that all is well.
type Verdict struct {
	Accepted   int // messages that got a 200
	Unsure     int // posted, and nobody knows whether they arrived
	Stored     int // messages of the run that are stored
	Sent       int // answers that WhatsApp accepted
	Uncertain  int // answers that may have been sent
	Failed     int // answers that the router gave up, with a reason
	Late       int // messages that took a detour: stored, out of order by right
	Lost       []string
	Doubled    []string
	Reordered  []string
	Unanswered []string
}

// Err returns nil when all is well, else what is not.
func (v Verdict) Err() error {
	var wrong []string
	for _, part := range []struct {
		name string
		list []string
	}{{"lost", v.Lost}, {"doubled", v.Doubled}, {"reordered", v.Reordered}, {"unanswered", v.Unanswered}} {
		if n := len(part.list); n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s (%s)", n, part.name, strings.Join(part.list[:min(n, 5)], "; ")))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, ", "))
}

type conversation struct {
	name       string // conversation id
	last       int    // number of the newest message seen
	want, sent int    // answers
}

// Verify compares what was written with what is stored and what was sent.
func Verify(e Evidence) Verdict {
	var v Verdict
	written := make(map[string]Message)
	for m := range e.Messages {
		written[m.ID] = m
		if m.Accepted {
			v.Accepted++
		} else {
			v.Unsure++
		}
	}

	posted := make(map[string]int, len(e.Posts)) // by ref or provider id → place
	for i, p := range e.Posts {
		key := cmp.Or(p.Ref, p.ProviderID)
		if _, twice := posted[key]; twice {
			v.Doubled = append(v.Doubled, "answer "+key+" was sent twice")
			continue
		}
		posted[key] = i
		if p.Ref != "" && p.ProviderID != "" {
			posted[p.ProviderID] = i
		}
	}

	conversations := make(map[string]*conversation)
	of := func(name string) *conversation {
		c := conversations[name]
		if c == nil {
			c = &conversation{name: name, last: -1}
			conversations[name] = c
		}
		return c
	}
	lastPost := make(map[string]int)
	known := make(map[int]bool) // posts that a row accounts for
	stored := make(map[string]bool, len(written))
	for _, r := range e.Rows {
		c := of(r.Conversation)
		if r.Direction == "inbound" {
			v.inbound(r, c, written, stored, e.Replies)
			continue
		}
		place, sent := posted[r.ID]
		if !sent && r.ProviderID != "" {
			place, sent = posted[r.ProviderID]
		}
		v.outbound(r, c, sent, e.NoReplyCapture)
		if !sent {
			continue
		}
		known[place] = true
		if before, ok := lastPost[r.Conversation]; ok && place < before {
			v.Reordered = append(v.Reordered, "answer "+r.ID+" was sent before the one before it")
		}
		lastPost[r.Conversation] = place
	}

	for id, m := range written {
		if m.Accepted && !stored[id] {
			v.Lost = append(v.Lost, fmt.Sprintf("%s, message %d of %s", id, m.N, m.Person))
		}
	}
	for i, p := range e.Posts {
		if key := cmp.Or(p.Ref, p.ProviderID); posted[key] == i && !known[i] {
			v.Doubled = append(v.Doubled, "answer "+key+" was sent and no row knows it")
		}
	}
	for _, c := range conversations {
		switch {
		case e.Replies == nil:
		case c.sent < c.want:
			v.Unanswered = append(v.Unanswered, fmt.Sprintf("conversation %s has %d of %d answers", c.name, c.sent, c.want))
		case c.sent > c.want:
			v.Doubled = append(v.Doubled, fmt.Sprintf("conversation %s has %d answers for %d", c.name, c.sent, c.want))
		}
	}
	for _, list := range [][]string{v.Lost, v.Doubled, v.Reordered, v.Unanswered} {
		slices.Sort(list)
	}
	return v
}

func (v *Verdict) inbound(r Row, c *conversation, written map[string]Message, stored map[string]bool, replies func(Message) int) {
	m, ours := written[r.ProviderID]
	if !ours {
		return
	}
	if stored[m.ID] {
		v.Doubled = append(v.Doubled, m.ID+" is stored twice")
		return
	}
	stored[m.ID] = true
	v.Stored++
	if r.Reason == "late" {
		v.Late++
		return
	}
	if m.N < c.last {
		v.Reordered = append(v.Reordered, fmt.Sprintf("%s, message %d of %s, is stored after message %d", m.ID, m.N, m.Person, c.last))
	}
	c.last = max(c.last, m.N)
	if replies != nil {
		c.want += replies(m) // stored is stored: it deserves its answer, 200 or not
	}
}

func (v *Verdict) outbound(r Row, c *conversation, sent, blind bool) {
	if r.Author == "router" && (sent || r.Status == "uncertain") {
		c.sent++
	}
	if sent {
		v.Sent++
	}
	switch r.Status {
	case "queued", "sending":
		v.Unanswered = append(v.Unanswered, "answer "+r.ID+" is still "+r.Status)
	case "uncertain":
		v.Uncertain++
	case "failed":
		v.Failed++
		if r.Author == "router" && !sent {
			c.want-- // it was decided, and given up with a reason
		}
	default:
		if !sent && !blind {
			v.Lost = append(v.Lost, "answer "+r.ID+" is "+r.Status+", and WhatsApp never had it")
		}
	}
}
