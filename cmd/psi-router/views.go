package main

import (
	"time"

	"github.com/psivisionhub/psi-router/internal/api"
)

// The API's answers as commands print them with --json: fewer fields than the API
// sends, so that a new one of its fields does not change what is printed. Commands
// that only read an answer use the API's own types.

type contact struct {
	ID       string `json:"id"`
	Phone    string `json:"phone"`
	UserID   string `json:"user_id"`
	Username string `json:"username"`
	Name     string `json:"name"`
	Blocked  bool   `json:"blocked,omitempty"`
	HereOnly bool   `json:"blocked_here_only,omitempty"`
	NoPromos bool   `json:"marketing_opt_out,omitempty"`
}

type conversation struct {
	ID              string     `json:"id"`
	Line            string     `json:"line"`
	State           string     `json:"state"`
	Area            string     `json:"area"`
	Tag             string     `json:"tag"`
	Menu            string     `json:"menu"`
	Epoch           int64      `json:"epoch"`
	Contact         contact    `json:"contact"`
	Ticket          string     `json:"ticket"`
	WindowExpiresAt *time.Time `json:"window_expires_at"`
	LastMessageAt   *time.Time `json:"last_message_at"`
	CreatedAt       *time.Time `json:"created_at"`
	Left            *api.Left  `json:"left"`
}

// happenedAt is when a message came or was made, by our clock where it can be.
func happenedAt(m api.Message) time.Time {
	for _, t := range []*time.Time{m.ReceivedAt, m.CreatedAt, m.SentAt} {
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

type record struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind"`
	Line       string     `json:"line"`
	LineRef    string     `json:"line_ref"`
	Reason     string     `json:"reason"`
	ReceivedAt *time.Time `json:"received_at"`
}

type trace struct {
	Conversations []conversation `json:"conversations"`
	Messages      []api.Message  `json:"messages"`
	Handoffs      []api.Handoff  `json:"handoffs"`
	Audit         []api.Audit    `json:"audit"`
	Records       []record       `json:"records"`
}

type queueRow struct {
	Name      string     `json:"name"`
	Depth     int64      `json:"depth"`
	InFlight  int64      `json:"in_flight"`
	Dead      int64      `json:"dead"`
	OldestAge float64    `json:"oldest_age_seconds"`
	Paused    bool       `json:"paused"`
	HeldUntil *time.Time `json:"held_until"`
	HeldFor   string     `json:"held_for"`
	Rate      *float64   `json:"rate"`
}

type queueList struct {
	Items     []queueRow `json:"items"`
	EmptiedAt *time.Time `json:"emptied_at"`
}

type deadLetter struct {
	ID         int64      `json:"id"`
	Queue      string     `json:"queue"`
	Lane       string     `json:"lane"`
	Attempts   int        `json:"attempts"`
	Error      string     `json:"error"`
	EnqueuedAt *time.Time `json:"enqueued_at"`
	DiedAt     *time.Time `json:"died_at"`
}
