package main

import (
	"encoding/json"
	"time"

	"github.com/psivisionhub/psi-router/internal/api"
)

// Commands print the API's own types with --json, without the fields that they never printed.
// A test lists the fields that are printed.

// conversation drops two fields of its contact.
type conversation struct{ api.Conversation }

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

func (ignored) UnmarshalJSON([]byte) error { return nil }

type trace struct {
	api.Trace
	Conversations []conversation `json:"conversations"`
	Records       []record       `json:"records"`
}

type queueList struct {
	api.QueueList
	Items []queueRow `json:"items"`
}

// happenedAt returns when a message was received or made, by our clock if possible.
func happenedAt(m api.Message) time.Time {
	for _, t := range []*time.Time{m.ReceivedAt, m.CreatedAt, m.SentAt} {
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}
