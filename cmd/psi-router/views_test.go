package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestPrintedFields: --json prints these fields and no others, whatever the API adds.
func TestPrintedFields(t *testing.T) {
	t.Parallel()
	var (
		conv  conversation
		entry record
		queue queueRow
		dead  deadLetter
	)
	for _, tt := range []struct {
		into         any
		answer, want string
	}{
		{
			&conv, `{"id":"a","contact":{"opted_out":true,"truncated":true,"marketing_opt_out":true,"blocked":true,"blocked_here_only":true}}`,
			"area contact created_at epoch id last_message_at left line menu state tag ticket window_expires_at",
		},
		{&conv.Contact, `{}`, "blocked blocked_here_only id marketing_opt_out name phone user_id username"},
		{&entry, `{"provider_id":"a","detail":"b","raw":[1]}`, "id kind line line_ref reason received_at"},
		{&queue, `{"totals":{"done":3}}`, "dead depth held_for held_until in_flight name oldest_age_seconds paused rate"},
		{&dead, `{"job_id":"a"}`, "attempts died_at enqueued_at error id lane queue"},
	} {
		if err := json.Unmarshal([]byte(tt.answer), tt.into); err != nil {
			t.Error(err)
		}
		text, err := json.Marshal(tt.into)
		if err != nil {
			t.Error(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Error(err)
		}
		if got := strings.Join(slices.Sorted(maps.Keys(fields)), " "); got != tt.want {
			t.Errorf("%T\ngot  %s\nwant %s", tt.into, got, tt.want)
		}
	}
}
