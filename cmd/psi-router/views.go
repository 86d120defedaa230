package main

import "time"

// What the API answers, as far as the commands print it.

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
	Left            *leftInfo  `json:"left"`
}

// leftInfo is why, and since when, somebody has no answer.
type leftInfo struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

type message struct {
	ID           string `json:"id"`
	Conversation string `json:"conversation_id"`
	Direction    string `json:"direction"`
	Author       string `json:"author"`
	Type         string `json:"type"`
	Text         string `json:"text"`
	ProviderID   string `json:"provider_id"`
	Status       string `json:"status"`
	Reason       string `json:"reason"`
	Error        *struct {
		Code   int    `json:"code"`
		Detail string `json:"detail"`
	} `json:"error"`
	SentAt     *time.Time `json:"sent_at"`
	ReceivedAt *time.Time `json:"received_at"`
	CreatedAt  *time.Time `json:"created_at"`
}

// at is when it happened for us.
func (m message) at() time.Time {
	for _, t := range []*time.Time{m.ReceivedAt, m.CreatedAt, m.SentAt} {
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

type handoff struct {
	Conversation string     `json:"conversation_id"`
	Ticket       string     `json:"ticket"`
	FromArea     string     `json:"from_area"`
	Area         string     `json:"area"`
	Tag          string     `json:"tag"`
	Note         string     `json:"note"`
	By           string     `json:"by"`
	At           *time.Time `json:"at"`
}

type audit struct {
	Conversation string     `json:"conversation_id"`
	Actor        string     `json:"actor"`
	Action       string     `json:"action"`
	Detail       string     `json:"detail"`
	At           *time.Time `json:"at"`
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
	Messages      []message      `json:"messages"`
	Handoffs      []handoff      `json:"handoffs"`
	Audit         []audit        `json:"audit"`
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

type deadPage struct {
	Items      []deadLetter `json:"items"`
	NextCursor *string      `json:"next_cursor"`
}
