package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// lineValues are the settings of a line, by their key.
type lineValues struct {
	id     string
	values map[string]string
}

// oldCloudLines are the lines that the previous product had on the Cloud API. They share one
// set of credentials.
var oldCloudLines = []string{"wsp4", "ventas_api", "administracion", "alumnos", "comunidad"}

// oldEnv is the .env file of the previous product.
type oldEnv struct {
	values map[string]string   // by variable
	names  map[string]string   // variables, by their key in allOldNames
	used   map[string][]string // keys of the new file, by variable
}

func (o *oldEnv) has(key string) bool { return o.names[key] != "" }

// fill sets an empty setting from an old key, and notes the key that the setting has now.
func (o *oldEnv) fill(to *string, key, now string) {
	if name := o.names[key]; name != "" && *to == "" {
		*to = o.values[name]
		o.used[name] = append(o.used[name], now)
	}
}

// line returns the settings of an old line, without the credentials that the lines on the
// Cloud API share.
func (o *oldEnv) line(old, id, provider string) lineValues {
	l := lineValues{id, map[string]string{}}
	for _, key := range []string{"provider", "phone_number_id", "number", "url", "instance", "api_key", "secret"} {
		value := ""
		o.fill(&value, "lines."+old+"."+key, "lines."+id+"."+key)
		l.values[key] = value
	}
	l.values["provider"] = provider
	return l
}

// takeEnv fills the settings that no flag gives from the .env file of the previous product.
func (s *setup) takeEnv() error {
	values, err := parseEnv(string(s.FromEnv))
	if err != nil {
		return usage("--from-env: %w", err)
	}
	o := &oldEnv{values, map[string]string{}, map[string][]string{}}
	for _, row := range allOldNames {
		for name := range strings.FieldsSeq(strings.ReplaceAll(row.names, "°", "")) {
			if row.key != "" && values[name] != "" && !o.has(row.key) {
				o.names[row.key] = name
			}
		}
	}
	if len(o.names) == 0 {
		return usage("--from-env: %s", s.e.say(envUseless))
	}
	port := s.Listen
	if o.fill(&port, "listen", "listen"); s.Listen == "" && port != "" {
		s.Listen = "127.0.0.1:" + port
	}
	o.fill(&s.Graph, "graph_url", "graph_url")
	if slices.Contains([]string{"debug", "info", "warn", "error"}, values["LOG_LEVEL"]) {
		o.fill(&s.logLevel, "log_level", "log_level")
	}
	s.takeLines(o)
	s.tellEnv(o)
	return nil
}

// takeLines takes over the lines on the Cloud API, then the one on Evolution.
func (s *setup) takeLines(o *oldEnv) {
	evolution := o.has("lines.evolution.instance") || o.has("lines.evolution.url")
	// The line wsp4 was on Evolution unless it was on the Cloud API.
	instead := evolution && (o.values["WHATSAPP_PROVIDER"] == "evolution" || !o.has("lines.wsp4.phone_number_id"))
	s.lines = nil
	called := s.Line // the first line
	for _, id := range oldCloudLines {
		if o.has("lines."+id+".phone_number_id") && (id != "wsp4" || !instead) {
			s.lines = append(s.lines, o.line(id, cmp.Or(called, id), "cloud"))
			called = ""
		}
	}
	if s.lines == nil && !evolution { // init asks for its number
		s.lines = append(s.lines, o.line("wsp4", cmp.Or(called, "wsp4"), "cloud"))
	}
	if s.lines != nil {
		first := s.lines[0]
		s.Line, s.Phone = first.id, cmp.Or(s.Phone, first.values["phone_number_id"])
		o.fill(&s.Token, "lines.wsp4.token", "lines."+first.id+".token")
		o.fill(&s.AppSecret, "lines.wsp4.app_secret", "lines."+first.id+".app_secret")
		o.fill(&s.VerifyToken, "lines.wsp4.verify_token", "lines."+first.id+".verify_token")
	}
	if evolution {
		id := "wsp4"
		if !instead {
			id = cmp.Or(notInLine.ReplaceAllString(strings.ToLower(o.values["EVOLUTION_INSTANCE_NAME"]), "_"), "evolution")
		}
		s.lines = append(s.lines, o.line("evolution", id, "evolution"))
	}
}

// tellEnv reports what became of each variable, without its value.
func (s *setup) tellEnv(o *oldEnv) {
	var others []string
	for _, name := range slices.Sorted(maps.Keys(o.values)) {
		switch row, _ := findOldName(name); {
		case o.values[name] == "":
		case o.used[name] != nil:
			s.note(green, "✓", name+" → "+strings.Join(o.used[name], ", "))
		case row != nil && row.key == "":
			s.note(yellow, "!", s.e.say(envNotNeeded, name, s.e.say(row.why)))
		default:
			others = append(others, name)
		}
	}
	if others != nil {
		s.note(yellow, "!", s.e.say(envNotUsed, strings.Join(others, ", ")))
	}
}

var (
	variable  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	notInLine = regexp.MustCompile(`[^a-z0-9_-]`)
)

// parseEnv reads lines of KEY=VALUE. Its errors never quote a line: it may hold a secret.
func parseEnv(src string) (map[string]string, error) {
	env := map[string]string{}
	for i, line := range strings.Split(strings.TrimPrefix(src, "\ufeff"), "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found || !variable.MatchString(name) {
			return nil, fmt.Errorf("line %d is not KEY=VALUE", i+1)
		}
		if quote := value[:min(1, len(value))]; quote == `"` || quote == "'" {
			inner, after, closed := strings.Cut(value[1:], quote)
			if after = strings.TrimSpace(after); !closed || after != "" && after[0] != '#' {
				return nil, fmt.Errorf("line %d has a quote that does not end", i+1)
			}
			env[name] = inner
			continue
		}
		value, _, _ = strings.Cut(" "+value, " #")
		env[name] = strings.TrimSpace(value)
	}
	return env, nil
}
