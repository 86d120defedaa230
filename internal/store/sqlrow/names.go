package sqlrow

import "strconv"

const (
	// NumberedCounter is the counter of positions: the last one that was given out.
	NumberedCounter = "numbered"
	// TicketPrefix begins the names of the counters of tickets.
	TicketPrefix = "ticket:"

	// PositionsAhead is how many positions may be given out before their counter is noted
	// again outside of the database. After a restore they are gaps.
	PositionsAhead = 100_000
	// TicketsAhead is the same for tickets.
	TicketsAhead = 100

	// TimerHandoff ends a hand-off without an answer. Messages do not touch its row: a timer
	// that fires too early is armed again.
	TimerHandoff = "handoff"
	// TimerLeft sends the flow's message to a person who was left without an answer. Each
	// new message that is left starts it anew.
	TimerLeft = "left"

	// ScanSize is how many events one scan of the backlog takes: few, because message
	// processing shares the processors, and in SQLite the writer.
	ScanSize = 200
	// TraceSize bounds each list of a trace.
	TraceSize = 200
)

// TicketCounter returns the name of a year's counter of tickets.
func TicketCounter(year int) string { return TicketPrefix + strconv.Itoa(year) }
