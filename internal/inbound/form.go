package inbound

import (
	"strings"

	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// FormText is what a team reads of a WhatsApp Flow that somebody filled in: what WhatsApp
// shows of it, and each answer in a line of its own. answers is the document that came,
// whole or as a string. One that is no object is shown as it came; flow_token, which
// only names the form, is left out.
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

// formValue is an answer as text: a list in a line, and what is deeper as it came.
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
