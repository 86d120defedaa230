package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/api"
)

// TestEverythingIsDescribed walks the description as a client author would.
func TestEverythingIsDescribed(t *testing.T) {
	t.Parallel()
	got := ask(t, serve(t, api.Options{}), "", "GET /openapi.json", "")
	type schema struct {
		Ref         string   `json:"$ref"`
		Description string   `json:"description"`
		Examples    []any    `json:"examples"`
		Type        any      `json:"type"`
		Items       any      `json:"items"`
		Required    []string `json:"required"`
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string              `json:"operationId"`
			Summary     string              `json:"summary"`
			Tags        []string            `json:"tags"`
			Security    []map[string][]any  `json:"security"`
			Responses   map[string]struct{} `json:"responses"`
			Parameters  []struct {
				Name, Description string
				Example           any
				Schema            schema
			}
		}
		Components struct {
			Schemas map[string]struct {
				Properties map[string]schema
			}
		}
	}
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil || got.status != 200 {
		t.Fatalf("%d %v", got.status, err)
	}
	seen, count := map[string]bool{}, 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			count++
			if op.OperationID == "" || seen[op.OperationID] || op.Summary == "" || len(op.Tags) != 1 || len(op.Security) != 1 {
				t.Errorf("%s %s is not described: %+v", method, path, op)
			}
			seen[op.OperationID] = true
			done := "200"
			if op.Tags[0] == "messages" {
				done = "201"
			}
			for _, status := range []string{done, "401", "403", "422", "429"} {
				if _, ok := op.Responses[status]; !ok {
					t.Errorf("%s %s lacks %s", method, path, status)
				}
			}
			for _, p := range op.Parameters {
				if p.Description == "" {
					t.Errorf("%s %s: %s has no description", method, path, p.Name)
				}
			}
		}
	}
	if count != len(endpoints) {
		t.Errorf("%d operations are described, %d are tested", count, len(endpoints))
	}
	for name, s := range doc.Components.Schemas {
		if strings.HasPrefix(name, "Error") {
			t.Errorf("schema %s is never sent", name)
		}
		for field, f := range s.Properties {
			object := f.Ref != "" || f.Items != nil || f.Type == nil
			if f.Description == "" && f.Ref == "" || (len(f.Examples) == 0 && !object) {
				t.Errorf("%s.%s lacks a description or an example: %+v", name, field, f)
			}
		}
	}
}
