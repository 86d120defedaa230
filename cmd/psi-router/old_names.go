package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/lang"
)

// oldNames are variables of the previous product with one meaning. serve does not refuse those
// marked °, because other programs use them too.
type oldNames struct {
	names string    // the first that is set wins; * ends a family
	key   string    // the key that replaces them; "" if none does
	why   lang.Text // why there is no key
}

// allOldNames lists them in the order of docs/migration.md.
var allOldNames = []oldNames{
	{names: "CLOUD_API_PHONE_NUMBER_ID WSP4_PHONE_ID META_PHONE_NUMBER_ID WHATSAPP_PHONE_NUMBER_ID", key: "lines.wsp4.phone_number_id"},
	{names: "WSP4_NUMBER", key: "lines.wsp4.number"},
	{names: "CLOUD_API_TOKEN WHATSAPP_TOKEN WHATSAPP_ACCESS_TOKEN META_ACCESS_TOKEN", key: "lines.wsp4.token"},
	{names: "META_APP_SECRET", key: "lines.wsp4.app_secret"},
	{names: "WHATSAPP_VERIFY_TOKEN WEBHOOK_VERIFY_TOKEN° META_VERIFY_TOKEN", key: "lines.wsp4.verify_token"},
	{names: "WEBHOOK_SECRET°", key: "lines.wsp4.secret"},
	{names: "VENTAS1_PHONE_ID CLOUD_API_VENTAS_PHONE_NUMBER_ID WHATSAPP_PHONE_NUMBER_ID_VENTAS", key: "lines.ventas_api.phone_number_id"},
	{names: "VENTAS1_NUMBER", key: "lines.ventas_api.number"},
	{names: "ADMIN_PHONE_ID", key: "lines.administracion.phone_number_id"},
	{names: "ALUMNOS_PHONE_ID", key: "lines.alumnos.phone_number_id"},
	{names: "COMUNIDAD_PHONE_ID", key: "lines.comunidad.phone_number_id"},
	{names: "EVOLUTION_API_URL", key: "lines.evolution.url"},
	{names: "EVOLUTION_API_KEY", key: "lines.evolution.api_key"},
	{names: "EVOLUTION_INSTANCE_NAME", key: "lines.evolution.instance"},
	{names: "WEBHOOK_SECRET°", key: "lines.evolution.secret"},
	{names: "WHATSAPP_PROVIDER°", key: "lines.evolution.provider"},
	{names: "CLOUD_API_BASE_URL", key: "graph_url"},
	{names: "LOG_LEVEL°", key: "log_level"},
	{names: "PORT°", key: "listen"},

	{names: "SUPABASE_STORAGE_BUCKET_*", why: lang.Text{ES: "los archivos están en data_dir/media", EN: "media are kept in data_dir/media"}},
	{names: "NEXT_PUBLIC_SUPABASE_*° SUPABASE_*°", why: lang.Text{ES: "el router tiene su propia base", EN: "the router has a store of its own"}},
	{names: "ANTILOOP_*", why: lang.Text{ES: "un repetido se conoce por su id; auto_per_hour, en el flujo, limita los mensajes automáticos", EN: "repeats are recognised by message id; the flow's auto_per_hour bounds automatic messages"}}, //nolint:misspell // Spanish
	{names: "TIMEOUT_24H_MINUTOS", why: lang.Text{ES: "la ventana se calcula desde el último mensaje", EN: "windows are computed from the last message"}},
	{names: "MAX_DERIVACIONES_POR_CONVERSACION", why: lang.Text{ES: "una derivación termina con un comando o con handoff_timeout", EN: "a hand-off ends by a command or by handoff_timeout"}}, //nolint:misspell // Spanish
	{names: "MAX_MENSAJES_AUTOMATICOS_CONSECUTIVOS", why: lang.Text{ES: "en su lugar está auto_per_hour, en el flujo", EN: "the flow's policy auto_per_hour takes its place"}},
	{names: "API_RATE_LIMIT_PER_MINUTE°", why: lang.Text{ES: "solo se frena a las direcciones que firman mal", EN: "only addresses with failed signatures are slowed down"}},
	{names: "ROUTER_PSI_URL MIGRATION_*°", why: lang.Text{ES: "hay un solo router", EN: "there is one router"}},
	{names: "CENTRALWAP_ROUTER_URL", why: lang.Text{ES: "el CRM llama a la API de este router", EN: "the CRM calls this router's API"}},
	{names: "ALLOW_LOCAL_ACCESS°", why: lang.Text{ES: "no hay un ingreso que saltear", EN: "there is no login to go around"}},
	{names: "N8N_WEBHOOK_* WEBHOOK_INGESTA_* WEBHOOK_ENVIO_*", why: lang.Text{ES: "los que reciben van en endpoints", EN: "list the receivers below endpoints"}},
	{names: "SLA_*°", why: lang.Text{ES: "lo que se espera lo dicen las áreas del flujo", EN: "the flow's areas say what to expect"}},
}

// findOldName returns the row of a variable, nil if the previous product did not have it.
func findOldName(variable string) (row *oldNames, generic bool) {
	for i := range allOldNames {
		for name := range strings.FieldsSeq(allOldNames[i].names) {
			name, generic = strings.CutSuffix(name, "°")
			if start, family := strings.CutSuffix(name, "*"); variable == name || family && strings.HasPrefix(variable, start) {
				return &allOldNames[i], generic
			}
		}
	}
	return nil, false
}

// refuseOldNames adds a problem if the environment has variables of the previous product.
func refuseOldNames(environ []string, err error) error {
	var names []string
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if row, generic := findOldName(name); row != nil && !generic && value != "" {
			names = append(names, name)
		}
	}
	if names == nil {
		return err
	}
	slices.Sort(names)
	var others config.Problems
	errors.As(err, &others)
	return append(config.Problems{{
		Key: strings.Join(names, ", "), From: "environment", Reason: "names of the previous product are not read any more",
		Fix: "make a configuration of its .env file with `psi-router init --from-env FILE`, then unset them",
	}}, others...)
}
