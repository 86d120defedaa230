package inbound

import (
	"strings"

	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// FormText returns a completed WhatsApp Flow as text for a team: the text that WhatsApp
// shows, then one line per answer. answers is the JSON document, or a string that holds it.
// If it is not an object it is shown as it came. flow_token only names the form and is
// left out.
func FormText(shown string, answers rawjson.Value) string {
	lines := []string{}
	if shown != "" {
		lines = append(lines, shown)
	}
	fields := answers
	if answers.IsString() {
		fields, _ = rawjson.Parse([]byte(answers.Text()))
	}
	if !fields.IsObject() {
		if text := answers.Text(); text != "" && text != "[]" {
			lines = append(lines, text)
		}
		return strings.Join(lines, "\n")
	}
	for name, value := range fields.Members() {
		if name != "flow_token" && value.Exists() {
			lines = append(lines, name+": "+formValue(value))
		}
	}
	return strings.Join(lines, "\n")
}

// formValue returns an answer as text: a list on one line, an object as JSON.
func formValue(v rawjson.Value) string {
	if !v.IsArray() {
		if text := v.Text(); text != "" || v.IsString() {
			return text
		}
		return string(v)
	}
	var all []string
	for item := range v.Items() {
		all = append(all, formValue(item))
	}
	return strings.Join(all, ", ")
}
