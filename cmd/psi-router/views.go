package main

import (
	"encoding/json"
	"time"

	"github.com/psivisionhub/psi-router/internal/api"
)

// The API's answers as commands print them with --json: its own types, without the fields
// that commands have never printed. A test names the fields that are printed.

// conversation is printed without what the API says of its contact for its own clients.
type conversation struct{ api.Conversation }

// UnmarshalJSON implements json.Unmarshaler.
func (c *conversation) UnmarshalJSON(data []byte) error {
	err := json.Unmarshal(data, &c.Conversation)
	c.Contact = printed(c.Contact)
	return err
}

func printed(c api.Contact) api.Contact {
	c.OptedOut, c.Truncated = false, false
	return c
}

type record struct {
	api.Record
	ProviderID ignored `json:"provider_id,omitzero"`
	Detail     ignored `json:"detail,omitzero"`
	Raw        ignored `json:"raw,omitzero"`
}

type queueRow struct {
	api.Queue
	Totals ignored `json:"totals,omitzero"`
}

type deadLetter struct {
	api.DeadLetter
	JobID ignored `json:"job_id,omitzero"`
}

// ignored stands for a field of the API that is neither read nor printed.
type ignored struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (ignored) UnmarshalJSON([]byte) error { return nil }

// trace is what commands read of a trace.
type trace struct {
	api.Trace
	Conversations []conversation `json:"conversations"`
	Records       []record       `json:"records"`
}

type queueList struct {
	api.QueueList
	Items []queueRow `json:"items"`
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
