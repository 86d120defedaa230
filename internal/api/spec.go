package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Tags of operations.
const (
	tagConversations = "conversations"
	tagMessages      = "messages"
	tagAudit         = "audit"
	tagQueues        = "queues"
	tagEvents        = "events"
	tagReasons       = "reasons"
)

func apiConfig(version string) huma.Config {
	version = cmp.Or(version, "dev")
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "PSI Router", Version: version,
				License: &huma.License{Name: "MIT", Identifier: "MIT"},
				Description: "Reads and commands conversations, sends messages, shows queues and events of the WhatsApp router. " +
					"Lists answer `items` and `next_cursor`; give it back as `cursor` (`after` for events) until it is null. " +
					"Anything outside a key's lines or areas answers 404, as if it did not exist. Times are UTC. " +
					"Commands and messages take an `Idempotency-Key`; operations on queues and dead letters can be repeated without one.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key": {Type: "http", Scheme: "bearer", Description: "A key of `api_keys`, as `psi-router key new` prints it."},
				},
			},
			Tags: []*huma.Tag{
				{Name: tagConversations, Description: "People on a line: what they wrote, what was answered, who has them now."},
				{Name: tagMessages, Description: "Messages that our people and programs write."},
				{Name: tagQueues, Description: "Queues, holds and pauses, and dead letters."},
				{Name: tagEvents, Description: "What happened, in order, by cursor."},
				{Name: tagAudit, Description: "Who did what."},
				{Name: tagReasons, Description: "Why something was decided."},
			},
		},
		Formats: huma.DefaultFormats, DefaultFormat: "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{toProblem},
	}
}

// marshalSpec completes the description and returns it.
func marshalSpec(doc *huma.OpenAPI) ([]byte, error) {
	doc.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")
	// The framework registers its own error model, which is never sent.
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
	spec, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	return spec, nil
}
