package config

import (
	"fmt"
	"slices"
	"strings"
)

// oldName is a variable of the earlier routers and where its value goes now.
type oldName struct {
	name string
	path string // key, "" when it has no successor
	// generic names may be set for something else: they never make a line.
	generic bool
	why     string // for names without successor
}

// oldNames are taken when their key is not set otherwise. For one key, the
// first that is set wins.
var oldNames = []oldName{
	{name: "CLOUD_API_PHONE_NUMBER_ID", path: "lines.wsp4.phone_number_id"},
	{name: "WSP4_PHONE_ID", path: "lines.wsp4.phone_number_id"},
	{name: "META_PHONE_NUMBER_ID", path: "lines.wsp4.phone_number_id"},
	{name: "WHATSAPP_PHONE_NUMBER_ID", path: "lines.wsp4.phone_number_id"},
	{name: "WSP4_NUMBER", path: "lines.wsp4.number"},
	{name: "CLOUD_API_TOKEN", path: "lines.wsp4.token"},
	{name: "WHATSAPP_TOKEN", path: "lines.wsp4.token"},
	{name: "WHATSAPP_ACCESS_TOKEN", path: "lines.wsp4.token"},
	{name: "META_ACCESS_TOKEN", path: "lines.wsp4.token"},
	{name: "META_APP_SECRET", path: "lines.wsp4.app_secret"},
	{name: "WHATSAPP_VERIFY_TOKEN", path: "lines.wsp4.verify_token"},
	{name: "WEBHOOK_VERIFY_TOKEN", path: "lines.wsp4.verify_token", generic: true},
	{name: "META_VERIFY_TOKEN", path: "lines.wsp4.verify_token"},
	{name: "WEBHOOK_SECRET", path: "lines.wsp4.secret", generic: true},
	{name: "VENTAS1_PHONE_ID", path: "lines.ventas_api.phone_number_id"},
	{name: "CLOUD_API_VENTAS_PHONE_NUMBER_ID", path: "lines.ventas_api.phone_number_id"},
	{name: "WHATSAPP_PHONE_NUMBER_ID_VENTAS", path: "lines.ventas_api.phone_number_id"},
	{name: "VENTAS1_NUMBER", path: "lines.ventas_api.number"},
	{name: "ADMIN_PHONE_ID", path: "lines.administracion.phone_number_id"},
	{name: "ALUMNOS_PHONE_ID", path: "lines.alumnos.phone_number_id"},
	{name: "COMUNIDAD_PHONE_ID", path: "lines.comunidad.phone_number_id"},
	{name: "CLOUD_API_BASE_URL", path: "graph_url"},
	{name: "LOG_LEVEL", path: "log_level", generic: true},

	{name: "NEXT_PUBLIC_SUPABASE_URL", why: "the store is embedded"},
	{name: "SUPABASE_URL", why: "the store is embedded"},
	{name: "SUPABASE_SERVICE_ROLE_KEY", why: "the store is embedded"},
	{name: "SUPABASE_SERVICE_KEY", why: "the store is embedded"},
	{name: "NEXT_PUBLIC_SUPABASE_ANON_KEY", why: "the store is embedded"},
	{name: "SUPABASE_ANON_KEY", why: "the store is embedded"},
	{name: "SUPABASE_STORAGE_BUCKET_AUDIOS", why: "media are kept in data_dir/media"},
	{name: "SUPABASE_STORAGE_BUCKET_DOCUMENTOS", why: "media are kept in data_dir/media"},
	{name: "ANTILOOP_MINUTES", why: "repeats are recognised by message id; the flow's auto_per_hour bounds automatic messages"},
	{name: "ANTILOOP_MINUTOS", why: "repeats are recognised by message id; the flow's auto_per_hour bounds automatic messages"},
	{name: "TIMEOUT_24H_MINUTOS", why: "windows are computed from the last message"},
	{name: "MAX_DERIVACIONES_POR_CONVERSACION", why: "a hand-off ends by a command or by handoff_timeout"}, //nolint:misspell // Spanish
	{name: "MAX_MENSAJES_AUTOMATICOS_CONSECUTIVOS", why: "the flow's policy auto_per_hour takes its place"},
	{name: "API_RATE_LIMIT_PER_MINUTE", why: "only addresses with failed signatures are slowed down"},
	{name: "ROUTER_PSI_URL", why: "there is one router"},
	{name: "CENTRALWAP_ROUTER_URL", why: "the CRM calls this router's API"},
	{name: "ALLOW_LOCAL_ACCESS", why: "there is no login to go around"},
}

// oldPrefixes are families of old names without successor.
var oldPrefixes = []oldName{
	{name: "MIGRATION_", why: "there is one router"},
	{name: "N8N_WEBHOOK_", why: "list the receivers below endpoints"},
	{name: "WEBHOOK_INGESTA_", why: "list the receivers below endpoints"},
	{name: "WEBHOOK_ENVIO_", why: "list the receivers below endpoints"},
	{name: "SLA_", why: "the flow's areas say what to expect"},
}

// shared are the credentials that the old programs used for all cloud lines.
var shared = []string{"token", "app_secret", "verify_token"}

// oldNames fills what is not set otherwise from old names, and says so.
func (d *decoder) oldNames(root *node, env map[string]string) (notes []string) {
	took := map[string]string{} // path → name
	made := map[string]bool{}   // lines that old names made
	take := func(name, path string, generic bool) {
		value, from := env[name], name
		file := env[name+"_FILE"]
		if value == "" && file == "" {
			return
		}
		if value == "" {
			value, from, path = file, name+"_FILE", path+"_file"
		}
		parts := strings.Split(path, ".")
		one := strings.TrimSuffix(path, "_file")
		switch other, line := took[one], parts[0] == "lines"; {
		case other != "":
			notes = append(notes, fmt.Sprintf("%s (an old name) was not used: %s says the same", from, other))
			return
		case isSet(root, parts):
			notes = append(notes, fmt.Sprintf("%s (an old name) was not used: %s is set", from, one))
			return
		case line && generic && !isSet(root, parts[:2]):
			return // somebody else's, most likely
		case line && !isSet(root, parts[:2]):
			made[parts[1]] = true
		}
		took[one] = from
		d.put(root, parts, &node{text: value, from: from})
		notes = append(notes, fmt.Sprintf("%s (an old name) was taken as %s: rename it %s", from, one, EnvName(path)))
	}
	for _, o := range oldNames {
		switch {
		case o.path == "log_level" && !slices.Contains([]string{"debug", "info", "warn", "error"}, env[o.name]):
		case o.path != "":
			take(o.name, o.path, o.generic)
		case env[o.name] != "":
			notes = append(notes, fmt.Sprintf("%s (an old name) is not needed any more: %s", o.name, o.why))
		}
	}
	d.oldEvolution(root, env, take)
	if port := env["PORT"]; port != "" && !isSet(root, []string{"listen"}) {
		d.put(root, []string{"listen"}, &node{text: "127.0.0.1:" + port, from: "PORT"})
		notes = append(notes, "PORT (an old name) was taken as the port of listen, on 127.0.0.1: rename it PSI_LISTEN=host:port")
	}
	for _, line := range []string{"ventas_api", "administracion", "alumnos", "comunidad"} {
		if !made[line] {
			continue
		}
		for _, key := range shared {
			if from := took["lines.wsp4."+key]; from != "" && !isSet(root, []string{"lines", line, key}) {
				take(strings.TrimSuffix(from, "_FILE"), "lines."+line+"."+key, false)
			}
		}
	}
	return append(notes, families(env)...)
}

// oldEvolution reads the names of the Evolution server: line wsp4 when it was
// the provider or nothing else was, otherwise a line named after the instance.
func (d *decoder) oldEvolution(root *node, env map[string]string, take func(name, path string, generic bool)) {
	instance := env["EVOLUTION_INSTANCE_NAME"]
	if instance == "" && env["EVOLUTION_API_URL"] == "" {
		return
	}
	line := "wsp4"
	if env["WHATSAPP_PROVIDER"] != "evolution" && isSet(root, []string{"lines", "wsp4", "phone_number_id"}) {
		line = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
				return r
			}
			return '_'
		}, strings.ToLower(instance))
	}
	if line == "" {
		line = "evolution"
	}
	take("EVOLUTION_INSTANCE_NAME", "lines."+line+".instance", false)
	take("EVOLUTION_API_URL", "lines."+line+".url", false)
	take("EVOLUTION_API_KEY", "lines."+line+".api_key", false)
	if !isSet(root, []string{"lines", line, "secret"}) {
		take("WEBHOOK_SECRET", "lines."+line+".secret", true)
	}
	if !isSet(root, []string{"lines", line, "provider"}) {
		d.put(root, []string{"lines", line, "provider"}, &node{text: "evolution", from: "EVOLUTION_INSTANCE_NAME"})
	}
}

func families(env map[string]string) (notes []string) {
	for _, o := range oldPrefixes {
		var found []string
		for name, value := range env {
			if strings.HasPrefix(name, o.name) && value != "" {
				found = append(found, name)
			}
		}
		if len(found) > 0 {
			slices.Sort(found)
			notes = append(notes, fmt.Sprintf("%s (old names) are not used: %s", strings.Join(found, ", "), o.why))
		}
	}
	return notes
}

// isSet reports whether the tree holds a value at the path.
func isSet(root *node, path []string) bool {
	at := root
	for i, key := range path {
		if at.kind != mapping {
			return true // nonsense, reported elsewhere
		}
		next := at.children[key]
		if i == len(path)-1 && (next == nil || next.null) {
			next = at.children[strings.TrimSuffix(key, "_file")]
			if next == nil || next.null {
				next = at.children[key+"_file"]
			}
		}
		if next == nil || next.null {
			return false
		}
		at = next
	}
	return true
}
