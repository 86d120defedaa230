package config

import (
	"strings"
	"testing"
)

func TestOldNames(t *testing.T) {
	t.Parallel()
	c, err := Load(Options{Env: []string{
		"CLOUD_API_TOKEN=t0ken", "WHATSAPP_TOKEN=other", "CLOUD_API_PHONE_NUMBER_ID=1", "META_APP_SECRET=s3cret", "WHATSAPP_VERIFY_TOKEN=v",
		"VENTAS1_PHONE_ID=2", "PORT=4000", "LOG_LEVEL=debug", "NODE_ENV=production", "WEBHOOK_SECRET=w",
		"EVOLUTION_API_URL=http://evo:8080", "EVOLUTION_API_KEY=k", "EVOLUTION_INSTANCE_NAME=Alumnos Uno",
		"MIGRATION_MODE=shadow", "SUPABASE_URL=https://x.supabase.co", "ANTILOOP_MINUTOS=15", "N8N_WEBHOOK_ENVIOS_ROUTER_CRM=https://n8n",
	}})
	if err != nil {
		t.Fatal(err)
	}
	w, v, e := c.Lines["wsp4"], c.Lines["ventas_api"], c.Lines["alumnos_uno"]
	if w == nil || v == nil || e == nil || c.Dev {
		t.Fatalf("lines %v", c.LineIDs())
	}
	if w.Token.First() != "t0ken" || w.PhoneNumberID != "1" || w.AppSecret.First() != "s3cret" || w.Secret.First() != "w" {
		t.Errorf("wsp4 %+v", w)
	}
	if v.PhoneNumberID != "2" || v.Token.First() != "t0ken" || v.AppSecret.First() != "s3cret" || v.VerifyToken.First() != "v" {
		t.Errorf("ventas_api %+v", v)
	}
	if e.Provider != "evolution" || e.URL != "http://evo:8080" || e.APIKey.First() != "k" || e.Secret.First() != "w" {
		t.Errorf("evolution %+v", e)
	}
	if c.Listen != "127.0.0.1:4000" || c.LogLevel != "debug" {
		t.Errorf("listen %s, level %s", c.Listen, c.LogLevel)
	}
	notes := strings.Join(c.Notes, "\n")
	for _, want := range []string{
		"CLOUD_API_TOKEN (an old name) was taken as lines.wsp4.token: rename it PSI_LINES_WSP4_TOKEN",
		"WHATSAPP_TOKEN (an old name) was not used: CLOUD_API_TOKEN says the same",
		"VENTAS1_PHONE_ID (an old name) was taken as lines.ventas_api.phone_number_id",
		"CLOUD_API_TOKEN (an old name) was taken as lines.ventas_api.token",
		"PORT (an old name)", "SUPABASE_URL (an old name) is not needed", "ANTILOOP_MINUTOS", "MIGRATION_MODE (old names)", "N8N_WEBHOOK_ENVIOS_ROUTER_CRM",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note %q in\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "t0ken") || strings.Contains(notes, "NODE_ENV") {
		t.Errorf("notes say too much:\n%s", notes)
	}
}

func TestOldNamesFillGapsOnly(t *testing.T) {
	t.Parallel()
	c, err := load(t, good+"graph_url: https://graph.facebook.com/v26.0\n",
		"WHATSAPP_TOKEN=other", "CLOUD_API_BASE_URL=https://graph.facebook.com/v18.0", "WSP4_NUMBER=+54 11", "PORT=", "LOG_LEVEL=trace")
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Lines["wsp4"]; l.Token.First() != "t0ken" || l.Number != "+54 11" || c.GraphURL != "https://graph.facebook.com/v26.0" || c.LogLevel != "info" {
		t.Errorf("%+v", c)
	}
	if notes := strings.Join(c.Notes, "\n"); !strings.Contains(notes, "WHATSAPP_TOKEN (an old name) was not used: lines.wsp4.token is set") {
		t.Errorf("notes: %s", notes)
	}
}

func TestEvolutionAlone(t *testing.T) {
	t.Parallel()
	c, err := Load(Options{Env: []string{"EVOLUTION_API_URL=http://evo:8080", "EVOLUTION_API_KEY=k", "EVOLUTION_INSTANCE_NAME=uno", "WEBHOOK_SECRET=w"}})
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Lines["wsp4"]; len(c.Lines) != 1 || l.Provider != "evolution" || l.Instance != "uno" || l.Secret.First() != "w" {
		t.Errorf("%v %+v", c.LineIDs(), l)
	}
}

func TestEveryOldNameLeadsSomewhere(t *testing.T) {
	t.Parallel()
	for _, o := range oldNames {
		if o.path == "" {
			if o.why == "" {
				t.Errorf("%s has neither key nor reason", o.name)
			}
			continue
		}
		c, err := load(t, "insecure: true\n", o.name+"=1")
		for _, p := range c.Notes {
			if strings.Contains(p, "PSI_") && strings.Contains(p, o.path) {
				err = nil
			}
		}
		if !o.generic && err != nil && !strings.Contains(err.Error(), o.path) && len(c.Notes) == 0 {
			t.Errorf("%s did nothing: %v", o.name, err)
		}
	}
}
