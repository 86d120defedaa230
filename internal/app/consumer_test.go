package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/programtest"
	"github.com/psivisionhub/psi-router/internal/servers"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/webhookout"
)

// consumer is examples/consumer, installed in a directory of its own.
type consumer struct {
	t       *testing.T
	dir     string
	port    string
	db      *pgtest.Server
	process *servers.Process
}

func newConsumer(t *testing.T) *consumer {
	t.Helper()
	programtest.Find(t, "node")
	programtest.Find(t, "npm")
	c := &consumer{t: t, dir: t.TempDir(), db: pgtest.New(t, pgtest.Options{})}
	files, err := filepath.Glob("../../examples/consumer/*.*")
	if err != nil || len(files) < 6 {
		t.Fatalf("examples/consumer: %v %v", files, err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.dir, filepath.Base(file)), src, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = c.dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	c.port = strconv.Itoa(porttest.Reserve(t).Number)
	return c
}

// tables creates a database with the tables of the plan's stack, as the example says, and
// returns its name.
func (c *consumer) tables() string {
	c.t.Helper()
	name := c.db.Database(c.t)
	for _, file := range []string{"../../bench/plan-stack/schema.sql", "../../examples/consumer/prepare.sql", "../../examples/consumer/prepare.sql"} {
		sql, err := os.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		c.db.Exec(c.t, name, string(sql))
	}
	return name
}

func (c *consumer) env(database string, more ...string) []string {
	return append(append(os.Environ(), "PGSSLMODE=disable", "DATABASE_URL="+c.db.TCPURL(database)), more...)
}

// start runs server.js until it listens.
func (c *consumer) start(database string) {
	c.t.Helper()
	cmd := exec.Command("node", "server.js")
	cmd.Dir, cmd.Env = c.dir, c.env(database, "SECRET="+crmSecret, "PORT="+c.port)
	p, err := servers.Start(cmd, filepath.Join(c.t.TempDir(), "log"), syscall.SIGKILL)
	if err != nil {
		c.t.Fatal(err)
	}
	c.process = p
	c.t.Cleanup(func() { p.Terminate(syscall.SIGKILL) })
	eventually(c.t, "the consumer listens", func() bool { return strings.Contains(p.Output(), "listening on 127.0.0.1:"+c.port) })
}

// rows reads one column of text.
func (c *consumer) rows(database, query string) []string {
	c.t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.db.URL(database))
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, query)
	if err != nil {
		c.t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		c.t.Fatal(err)
	}
	return list
}

// everything is the content of the tables, except their own ids.
const everything = `
select 'talk ' || concat_ws('|', psi_id, telefono, nombre, linea_origen, area, estado, router_estado, subetiqueta, ticket_id,
  ultimo_mensaje, ts_ultimo_mensaje, mensajes_no_leidos) from conversaciones
union all select 'message ' || concat_ws('|', m.psi_id, v.psi_id, mensaje, tipo, direccion, remitente_tipo, whatsapp_message_id,
  opcion_seleccionada, estado_envio, error_mensaje, m.created_at) from mensajes m join conversaciones v on v.id = m.conversacion_id where m.psi_id is not null
union all select 'ticket ' || concat_ws('|', ticket_id, telefono, area, estado, subetiqueta, ts_abierto, ts_resuelto) from tickets
union all select 'handoff ' || concat_ws('|', psi_id, ticket_id, telefono, area_origen, area_destino, subetiqueta, derivado_por) from derivaciones
union all select 'contact ' || concat_ws('|', telefono, nombre) from contactos
order by 1`

// TestExampleConsumer: the consumer of docs/migration.md fills the tables of the plan's
// stack from a real router, with redeliveries and kills.
func TestExampleConsumer(t *testing.T) {
	t.Parallel()
	c := newConsumer(t)
	db := c.tables()
	const ana, beto = "5491155550801", "5491155550802"
	c.db.Exec(t, db, `insert into contactos (telefono) values ('`+ana+`')`,
		`insert into conversaciones (contacto_id, telefono, ultimo_mensaje) select id, telefono, 'de antes' from contactos`,
		`insert into mensajes (conversacion_id, mensaje, whatsapp_message_id) select id, 'de antes', 'wamid.old' from conversaciones`)
	c.start(db)

	address := "http://127.0.0.1:" + c.port
	r := startHurried(t, 20, "PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+t.TempDir(),
		"PSI_ENDPOINTS_0_NAME=crm", "PSI_ENDPOINTS_0_URL="+address, "PSI_ENDPOINTS_0_SECRET="+crmSecret,
		"PSI_ENDPOINTS_0_ALLOW=127.0.0.1:"+c.port)
	r.write(ana, "wamid.1", "hola")
	r.write(beto, "wamid.2", "hola")
	r.messages(ana, answered(1, ""))
	r.write(ana, "wamid.3", "1")
	r.messages(ana, answered(2, ""))
	c.process.Terminate(syscall.SIGKILL) // in the middle of its work
	r.write(ana, "wamid.4", "11")
	id, _ := r.messages(ana, answered(3, ""))
	c.start(db)
	c.takes(r, db)
	if got, want := c.rows(db, `select estado || ' ' || area || ' ' || subetiqueta from tickets`), []string{"abierto admin pagos"}; !cmp.Equal(got, want) {
		t.Errorf("tickets: got %q, want %q", got, want)
	}
	var conv struct{ State string }
	r.ask(http.DefaultClient, r.URL(), http.MethodPost, "/api/v1/conversations/"+id+"/close", &conv)
	eventually(t, "the tables say that it is closed", func() bool {
		return len(c.rows(db, `select '' from conversaciones where estado = 'cerrada'`)) == 1
	})
	c.takes(r, db)

	want := []string{
		ana + " 2 cerrada resuelto", // her row was there before
		beto + " 1 en_menu ",
	}
	got := c.rows(db, `select telefono || ' ' || (select count(*) from mensajes m where m.conversacion_id = v.id and
		coalesce(direccion, 'entrante') = 'entrante' and mensaje in ('de antes', 'hola')) || ' ' || estado || ' ' ||
		coalesce((select string_agg(t.estado, ' ') from tickets t where t.conversacion_id = v.id), '') from conversaciones v order by telefono`)
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("conversations (-got +want):\n%s", diff)
	}

	t.Run("seeded", func(t *testing.T) { c.seed(t, r, db) })
	t.Run("caught up", func(t *testing.T) { c.catchUp(t, r, db) })
	t.Run("twice", func(t *testing.T) { c.twice(t, r, db, address) })
	r.stop()
}

// takes waits until the tables agree with the API on each message.
func (c *consumer) takes(r *testRouter, db string) {
	c.t.Helper()
	var diff string
	eventually(c.t, "the tables are what the API says", func() bool {
		var want []string
		var conversations struct{ Items []struct{ ID string } }
		r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations", &conversations)
		for _, conv := range conversations.Items {
			var page struct {
				Items []struct{ ID, Text, Status, Direction string }
			}
			r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations/"+conv.ID+"/messages", &page)
			for _, m := range page.Items {
				want = append(want, fmt.Sprint(conv.ID, m.ID, m.Status, m.Direction == "inbound", m.Text))
			}
		}
		got := c.rows(db, `select concat(v.psi_id, m.psi_id, estado_envio, ' ', case direccion when 'entrante' then 'true' else 'false' end, ' ', mensaje)
			from mensajes m join conversaciones v on v.id = m.conversacion_id where m.psi_id is not null order by v.ts_ultimo_mensaje desc, m.psi_id`)
		same := func(list []string) map[string]bool {
			set := map[string]bool{}
			for _, s := range list {
				set[strings.ReplaceAll(s, " ", "")] = true
			}
			return set
		}
		diff = cmp.Diff(same(got), same(want))
		waiting := c.rows(db, `select id from psi_eventos where aplicado_en is null`)
		return diff == "" && len(waiting) == 0
	})
}

// seed loads the old router's people into a router: nobody is answered, the windows are
// WhatsApp's, and the bot is silent where a team has the conversation.
func (c *consumer) seed(t *testing.T, r *testRouter, db string) {
	const carla, dora = "5491155550803", "5491155550804"
	for i, who := range []string{carla, dora} {
		estado := []string{"derivada", "en_menu"}[i]
		c.db.Exec(t, db, `insert into conversaciones (telefono, estado) values ('`+who+`', '`+estado+`')`,
			`insert into mensajes (conversacion_id, mensaje, direccion, whatsapp_message_id, created_at)
			select id, 'tengo una duda', 'entrante', 'wamid.old.`+estado+`', date_trunc('second', now() - interval '3 hours') from conversaciones where telefono = '`+who+`'`)
	}
	for range 2 {
		cmd := exec.CommandContext(t.Context(), "node", "seed.js")
		cmd.Dir, cmd.Env = c.dir, c.env(db, "ROUTER_URL="+r.URL(), "API_KEY="+config.DevAPIKey, "LINE=sandbox",
			"APP_SECRET="+config.DevAppSecret, "PHONE_NUMBER_ID="+config.DevPhoneNumberID)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "people told") {
			t.Fatalf("seed.js: %v\n%s", err, out)
		}
		c.takes(r, db)
	}
	for who, want := range map[string]string{carla: "disconnected", dora: "menu"} {
		var conversations struct {
			Items []struct {
				State           string
				WindowExpiresAt time.Time `json:"window_expires_at"`
			}
		}
		r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations?phone="+who, &conversations)
		if len(conversations.Items) != 1 || conversations.Items[0].State != want || time.Until(conversations.Items[0].WindowExpiresAt).Round(time.Hour) != 21*time.Hour {
			t.Errorf("%s: got %+v, want %s with a window of 21 h", who, conversations.Items, want)
		}
		_, all := r.messages(who, func(all []message) bool { return len(all) > 0 })
		if len(all) != 1 || all[0].Reason != "stale" {
			t.Errorf("%s: got %+v, want the old message and no answer", who, all)
		}
	}
	if got := c.rows(db, `select m.mensaje from mensajes m where whatsapp_message_id like 'wamid.old.%'`); len(got) != 2 {
		t.Errorf("the old messages are %d rows, want 2", len(got))
	}
}

// catchUp fills new tables by pulling: they become equal to the pushed ones, and pulling
// everything again changes nothing.
func (c *consumer) catchUp(t *testing.T, r *testRouter, db string) {
	fresh := c.tables()
	pull := func() string {
		cmd := exec.CommandContext(t.Context(), "node", "catchup.js", "0")
		cmd.Dir, cmd.Env = c.dir, c.env(fresh, "ROUTER_URL="+r.URL(), "API_KEY="+config.DevAPIKey)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("catchup.js: %v\n%s", err, out)
		}
		return string(out)
	}
	const nothing = " 0 of them new"
	if out := pull(); strings.Contains(out, nothing) {
		t.Fatalf("catchup.js: %s", out)
	}
	eventually(t, "a pull brings nothing new", func() bool { return strings.Contains(pull(), nothing) })
	eventually(t, "pulled and pushed are the same", func() bool {
		return cmp.Equal(c.rows(fresh, everything), c.rows(db, everything))
	})
}

// twice posts an event again, then malformed ones, and one with a wrong signature.
func (c *consumer) twice(t *testing.T, r *testRouter, db, address string) {
	before := c.rows(db, everything)
	o := webhookout.Options{Name: "crm", URL: address, Secrets: []string{crmSecret}, Allow: []string{"127.0.0.1:" + c.port}}
	again := func(change func(*store.Event), o webhookout.Options) error {
		all := r.pulled()
		p := all[slices.IndexFunc(all, func(p pushedEvent) bool { return p.Type == store.EventSent })] // its status has changed since
		var e struct{ Data json.RawMessage }
		if err := json.Unmarshal([]byte(p.raw), &e); err != nil {
			t.Fatal(err)
		}
		event := store.Event{ID: p.ID, Type: p.Type, CreatedAt: p.Timestamp, Pos: p.Pos, Seq: p.Seq, Data: e.Data}
		change(&event)
		client, err := webhookout.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		return client.Push(t.Context(), event)
	}
	if err := again(func(*store.Event) {}, o); err != nil {
		t.Errorf("a repeat: got %v, want it taken", err)
	}
	if err := again(func(e *store.Event) { e.ID = "an old one in a new envelope" }, o); err != nil {
		t.Errorf("an old event: got %v, want it taken", err)
	}
	applied := func() bool { return len(c.rows(db, `select id from psi_eventos where aplicado_en is null`)) == 0 }
	eventually(t, "nothing waits", applied)
	if diff := cmp.Diff(c.rows(db, everything), before); diff != "" {
		t.Errorf("after a repeat (-got +want):\n%s", diff)
	}

	other := func(e *store.Event) {
		var data struct {
			Conversation struct{ ID, Line string }
			Message      struct{ ID string }
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		e.ID, e.Pos = "of another line", 1_000_000
		e.Data = json.RawMessage(strings.NewReplacer(data.Conversation.ID, "another", data.Message.ID, "message", `"`+data.Conversation.Line+`"`, `"ventas"`).Replace(string(e.Data)))
	}
	if err := again(other, o); err != nil {
		t.Errorf("another line: got %v, want it taken", err)
	}
	eventually(t, "nothing waits", applied)
	if got := c.rows(db, everything); len(got) != len(before)+2 {
		t.Errorf("another line of the same person: %d rows more, want a conversation and a message", len(got)-len(before))
	}

	// It turns out to be her number: the rows are moved to her.
	joined := func(e *store.Event) {
		other(e)
		e.ID, e.Type, e.Pos = "joined", store.EventClosed, 1_000_001
		e.Data = append(e.Data[:len(e.Data)-1], `,"merged_with":"`+r.pulled()[0].Data.Conversation.ID+`"}`...)
	}
	if err := again(joined, o); err != nil {
		t.Errorf("joined: got %v, want it taken", err)
	}
	eventually(t, "nothing waits", applied)
	if got := c.rows(db, `select v.psi_id from mensajes m join conversaciones v on v.id = m.conversacion_id where m.psi_id = 'message'`); !cmp.Equal(got, []string{r.pulled()[0].Data.Conversation.ID}) {
		t.Errorf("a message of a joined conversation is in %q, want hers", got)
	}

	// An event that cannot be applied blocks only its own conversation.
	for i, conv := range []string{"bad", "bad", "good"} {
		change := func(e *store.Event) {
			other(e)
			e.ID, e.Pos = fmt.Sprint(conv, i), int64(1_000_002+i)
			text := strings.NewReplacer(`"another"`, `"`+conv+`"`, `"id":"message"`, `"id":"message`+conv+`"`).Replace(string(e.Data))
			if i == 0 {
				text = strings.Replace(text, `"state":"`, `"state":"un`, 1)
			}
			e.Data = json.RawMessage(text)
		}
		if err := again(change, o); err != nil {
			t.Errorf("%s: got %v, want it taken", conv, err)
		}
	}
	eventually(t, "the good one is applied and the bad ones wait", func() bool {
		got := c.rows(db, `select id || ' ' || (error is not null) from psi_eventos where aplicado_en is null order by pos`)
		good := c.rows(db, `select id from conversaciones where psi_id = 'good'`)
		return len(good) == 1 && cmp.Equal(got, []string{"bad0 true", "bad1 false"})
	})

	o.Secrets = []string{"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}
	var f *outbound.Failure
	if err := again(func(*store.Event) {}, o); !errors.As(err, &f) || f.Code != http.StatusUnauthorized {
		t.Errorf("a stranger: got %v, want 401", err)
	}
}
