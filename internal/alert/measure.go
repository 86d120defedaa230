package alert

import (
	"maps"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// Measures.
const (
	Workers      Measure = "no_workers" // 1 if there are none
	CheckDown    Measure = "check_down"
	QueueHeld    Measure = "queue_held"
	QueuePaused  Measure = "queue_paused"
	QueueEmptied Measure = "queue_emptied" // 1 for a day after the loss
	InboundAge   Measure = "inbound_age"
	QueueAge     Measure = "queue_age"
	DeadLetters  Measure = "dead_letters"
	FailedSends  Measure = "failed_sends"
	SilentLine   Measure = "silent_line"
	DiskUsed     Measure = "disk_used"
	ClockWrong   Measure = "clock_wrong" // seconds apart from WhatsApp's
	RouterAnswer Measure = "router_answer"
	TeamAnswer   Measure = "team_answer"
	LeftPeople   Measure = "left"
)

const (
	// holdBridge bridges the probes of a held queue, during which the hold is lifted.
	holdBridge = time.Minute
	// emptiedFor is how long the loss of a queue's data is reported.
	emptiedFor = 24 * time.Hour
	// minSends is the fewest sends for which a ratio means something.
	minSends = 10
)

// Facts are what the program knows about itself at one time.
type Facts struct {
	Queues   []queue.Stats
	NoQueues bool // Queues could not be read
	// Emptied is when the queue server was found to have lost its data, zero for never.
	// NoEmptied: it could not be read.
	Emptied   time.Time
	NoEmptied bool
	// OldestUnanswered is the age of the oldest message without an automatic answer,
	// OldestHandedOff since when a person has waited for a team.
	OldestUnanswered time.Duration
	OldestHandedOff  time.Time
	// Left counts the people who got no answer and to whom nobody will write.
	Left        int64
	LastInbound map[string]time.Time
	NoStats     bool
	// Down are the failing checks with their errors.
	Down map[string]string
	// Reports are the reports of all processes. NoReports: only this process's is known.
	Reports   []Report
	NoReports bool
	// Lines are the configured lines.
	Lines []string
}

// Report is a process's report about itself.
type Report struct {
	Role  string               `json:"role"` // all, webhook, worker
	Host  string               `json:"host"`
	Disk  Disk                 `json:"disk"`
	Sends map[string]SendCount `json:"sends,omitempty"` // by line, of the last quarter of an hour
	// Spooled is the age of the oldest message in this process's spool.
	Spooled time.Duration `json:"spooled,omitempty"`
	// ClockAhead is how far the process's clock is ahead of WhatsApp's (negative: behind)
	// if they are minutes apart; else 0.
	ClockAhead time.Duration `json:"clock_ahead,omitempty"`
}

// Disk is the disk of data_dir, in bytes.
type Disk struct {
	Dir  string `json:"dir"`
	Free uint64 `json:"free"`
	Size uint64 `json:"size"` // 0 means unknown
}

// SendCount counts posts.
type SendCount struct {
	All    int64 `json:"all"`
	Failed int64 `json:"failed"`
}

// CountWorkers counts the processes that handle turns and sends.
func CountWorkers(reports []Report) (n int) {
	for _, r := range reports {
		if r.Role != "webhook" {
			n++
		}
	}
	return n
}

// ToSamples turns facts into samples. It records in s when queues were held.
func ToSamples(f Facts, h Hours, s *State, now time.Time) Samples {
	in := Samples{Unknown: map[Measure]bool{}}
	add := func(m Measure, subject string, value float64, detail string) {
		in.Values = append(in.Values, Sample{m, subject, value, detail})
	}
	unknown := func(yes bool, all ...Measure) {
		for _, m := range all {
			in.Unknown[m] = in.Unknown[m] || yes
		}
	}
	unknown(f.NoQueues, QueueHeld, QueuePaused, InboundAge, QueueAge, DeadLetters, RouterAnswer)
	unknown(f.NoEmptied, QueueEmptied)
	unknown(f.NoStats, SilentLine, RouterAnswer, TeamAnswer, LeftPeople)
	unknown(f.NoReports, Workers, FailedSends)

	for _, name := range slices.Sorted(maps.Keys(f.Down)) {
		add(CheckDown, name, 1, f.Down[name])
	}
	if !f.Emptied.IsZero() && now.Sub(f.Emptied) < emptiedFor {
		add(QueueEmptied, "", 1, f.Emptied.In(h.Zone).Format("02/01 15:04"))
	}
	owed := max(f.OldestUnanswered, oldestSpooled(f.Reports))
	if s.LastHeld == nil {
		s.LastHeld = map[string]time.Time{}
	}
	for _, q := range f.Queues {
		held := q.HeldUntil.After(now)
		if held {
			s.LastHeld[q.Name] = now
		}
		if at, ok := s.LastHeld[q.Name]; ok && now.Sub(at) <= holdBridge {
			add(QueueHeld, q.Name, 1, q.HeldReason)
		} else {
			delete(s.LastHeld, q.Name)
		}
		if q.Paused && q.Depth > 0 {
			add(QueuePaused, q.Name, 1, "")
		}
		age := Sample{QueueAge, q.Name, 0, ""}
		if q.Depth > 0 {
			age.Value = q.OldestAge.Seconds()
		}
		if q.Name == job.Inbound {
			age.Measure = InboundAge
			if q.Depth > 0 {
				owed = max(owed, q.OldestAge)
			}
		}
		in.Values = append(in.Values, age)
		add(DeadLetters, q.Name, float64(q.Dead), "")
	}
	none := 0.0
	if CountWorkers(f.Reports) == 0 {
		none = 1
	}
	add(Workers, "", none, "")
	for _, r := range f.Reports {
		if r.ClockAhead != 0 {
			add(ClockWrong, r.Host, r.ClockAhead.Abs().Seconds(), r.ClockAhead.String())
		}
		if r.Disk.Size > 0 {
			add(DiskUsed, r.Host+":"+r.Disk.Dir, 1-float64(r.Disk.Free)/float64(r.Disk.Size), "")
		}
	}
	for line, c := range SumSends(f.Reports) {
		if c.All >= minSends {
			add(FailedSends, line, float64(c.Failed)/float64(c.All), "")
		}
	}
	add(RouterAnswer, "", owed.Seconds(), "")
	add(LeftPeople, "", float64(f.Left), "")
	// What people do or omit outside working hours raises no alert.
	working := h.Contains(now)
	unknown(!working, SilentLine, TeamAnswer)
	if !f.OldestHandedOff.IsZero() {
		add(TeamAnswer, "", h.Between(f.OldestHandedOff, now).Seconds(), "")
	}
	for _, line := range f.Lines {
		if at := f.LastInbound[line]; !at.IsZero() {
			add(SilentLine, line, h.Between(at, now).Seconds(), "")
		}
	}
	slices.SortFunc(in.Values, func(x, y Sample) int {
		return compare(Incident{Rule: string(x.Measure), Subject: x.Subject}, Incident{Rule: string(y.Measure), Subject: y.Subject})
	})
	return in
}

// SumSends returns the sends of all processes by line.
func SumSends(reports []Report) map[string]SendCount {
	out := map[string]SendCount{}
	for _, r := range reports {
		for line, c := range r.Sends {
			sum := out[line]
			sum.All += c.All
			sum.Failed += c.Failed
			out[line] = sum
		}
	}
	return out
}
