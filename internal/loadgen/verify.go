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

// Row is a message as the router's API lists it.
type Row struct {
	ID           string // the router's
	Conversation string
	Direction    string // inbound, outbound
	Author       string
	Status       string
	Reason       string
	ProviderID   string
	// ReceivedAt and CreatedAt are when the message came and when it was handled; zero if
	// unknown.
	ReceivedAt, CreatedAt time.Time
}

// Post is a message that WhatsApp accepted from the router.
type Post struct {
	Ref        string // biz_opaque_callback_data: the router's id
	ProviderID string // the id that WhatsApp gave it
}

// Evidence is the input of Verify.
type Evidence struct {
	Messages iter.Seq[Message] // posted messages: Report.Messages
	Rows     []Row             // stored messages; within a conversation oldest first
	Posts    []Post            // sent messages, in order
	// NoReplyCapture is set when Posts is unknown: Verify then uses the rows alone.
	NoReplyCapture bool
	// Replies returns how many answers a stored message deserves; nil does not count
	// answers.
	Replies func(Message) int
}

// Verdict lists the faults. Empty lists prove that there are none.
type Verdict struct {
	Accepted   int // messages that got a 200
	Unsure     int // posted messages that may or may not have arrived
	Stored     int // messages of the run that are stored
	Sent       int // answers that WhatsApp accepted
	Uncertain  int // answers that may have been sent
	Failed     int // answers that the router gave up on, with a reason
	Late       int // messages stored late, and so rightly out of order
	Lost       []string
	Doubled    []string
	Reordered  []string
	Unanswered []string
}

// Err returns the faults as an error, nil without any.
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
	want, sent int    // numbers of answers
}

// Verify compares the posted messages with the stored and the sent ones.
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
	known := make(map[int]bool) // posts that have a row
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
			v.Reordered = append(v.Reordered, "answer "+r.ID+" was sent before the answer before it")
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
			v.Doubled = append(v.Doubled, "answer "+key+" was sent and has no row")
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
		c.want += replies(m) // a stored message deserves its answer, even without a 200
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
			c.want-- // the router decided it, and gave it up with a reason
		}
	default:
		if !sent && !blind {
			v.Lost = append(v.Lost, "answer "+r.ID+" is "+r.Status+", and WhatsApp never got it")
		}
	}
}
