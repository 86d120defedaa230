package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"

	"github.com/psivisionhub/psi-router/internal/queue/redisqueue"
	"github.com/psivisionhub/psi-router/internal/store/pgstore"
)

func (d *doctor) redis(ctx context.Context) {
	if d.Config.RedisURL.Empty() {
		return
	}
	ctx, cancel := d.withTimeout(ctx)
	defer cancel()
	e, err := redisqueue.Open(ctx, redisqueue.Options{URL: d.Config.RedisURL.First(), Durability: d.Config.Durability})
	if err != nil {
		fix := d.say(words{"fijate si Redis corre y si redis_url es el suyo", "look whether Redis runs, and whether redis_url is its"})
		if errors.Is(err, redisqueue.ErrSetup) {
			fix = "" // the error says what to type
		}
		d.broken(Redis, d.errorText(err), fix)
		return
	}
	defer func() { _ = e.Close() }() // it was only read
	a, err := e.ServerInfo(ctx)
	if err != nil {
		d.broken(Redis, d.errorText(err), "")
		return
	}
	d.noteClock("Redis", a.ClockAhead)
	d.ok(Redis, words{"Redis %s en %s, %s usados", "Redis %s at %s, %s used"}, a.Version, a.Addr, formatSize(uint64(max(a.UsedMemory, 0))))
	switch d.Config.Durability {
	case "replica":
		if a.Replicas == 0 {
			d.broken(Redis, d.say(words{"durability es replica y no hay ninguna: nada se acepta", "durability is replica and there is none: nothing is accepted"}),
				d.say(words{"conectá una réplica (replicaof), o poné durability: fsync", "attach one (replicaof), or set durability: fsync"}))
		} else {
			d.ok(Redis, words{"cada 200 espera a una réplica (hay %d)", "each 200 waits for a replica (there are %d)"}, a.Replicas)
		}
	case "relaxed":
		d.warn(Redis, d.say(words{"durability es relaxed: si se corta la luz se puede perder lo último", "durability is relaxed: a power loss may lose the newest"}),
			d.say(words{"poné durability: fsync", "set durability: fsync"}))
	default:
		d.ok(Redis, words{"está en disco antes de cada 200", "it is on disk before each 200"})
	}
	if a.MaxMemory > 0 && a.UsedMemory*10 > a.MaxMemory*8 {
		d.warn(Redis, d.say(words{"usa %s de %s", "uses %s of %s"}, formatSize(uint64(a.UsedMemory)), formatSize(uint64(a.MaxMemory))),
			d.say(words{"subí maxmemory: lleno, no acepta nada", "raise maxmemory: full, it accepts nothing"}))
	}
}

func (d *doctor) postgres(ctx context.Context) {
	c := d.Config
	if c.DatabaseURL.Empty() {
		return
	}
	ctx, cancel := d.withTimeout(ctx)
	defer cancel()
	a, err := pgstore.Examine(ctx, c.DatabaseURL.First())
	if err != nil {
		d.broken(PostgreSQL, d.errorText(err), d.say(words{"fijate si PostgreSQL corre, y si database_url es el suyo", "look whether PostgreSQL runs, and whether database_url is its"}))
		return
	}
	d.noteClock("PostgreSQL", a.ClockAhead)
	d.ok(PostgreSQL, words{"PostgreSQL %d contesta", "PostgreSQL %d answers"}, a.Version)
	switch {
	case a.SchemaVersion == 0:
		d.warn(PostgreSQL, d.say(words{"el esquema psi_router todavía no está", "the schema psi_router is not there yet"}),
			d.say(words{"serve lo crea al arrancar; o antes: psi-router migrate", "serve makes it at its start; or before: psi-router migrate"}))
	case a.SchemaVersion < a.KnownVersion:
		d.warn(PostgreSQL, d.say(words{"el esquema es el %d y este programa conoce el %d", "the schema is %d, and this program knows %d"}, a.SchemaVersion, a.KnownVersion),
			d.say(words{"serve lo actualiza al arrancar; o antes, con los routers parados: psi-router migrate", "serve brings it up to date; or before, with every router stopped: psi-router migrate"}))
	case a.SchemaVersion > a.KnownVersion:
		d.broken(PostgreSQL, d.say(words{"el esquema es el %d y este programa conoce hasta el %d", "the schema is %d, and this program knows up to %d"}, a.SchemaVersion, a.KnownVersion),
			d.say(words{"volvé a la versión nueva del programa", "go back to the newer version of the program"}))
	default:
		d.ok(PostgreSQL, words{"el esquema está al día (%d)", "the schema is up to date (%d)"}, a.SchemaVersion)
	}
	if !a.Fsync {
		d.broken(PostgreSQL, d.say(words{"corre con fsync = off: un corte de luz arruina los datos", "it runs with fsync = off: a power loss spoils data"}),
			"ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();")
	}
	d.pool(ctx, a)
}

// pool looks at what stands between, and at how many connections there are.
func (d *doctor) pool(ctx context.Context, a pgstore.ServerInfo) {
	c := d.Config
	switch {
	case a.Pooled && c.DatabaseDirectURL.Empty():
		d.warn(PostgreSQL, d.say(words{"parece haber un pooler en el medio, y las migraciones también pasarían por él", "a pooler seems to stand between, and migrations would go through it too"}),
			d.say(words{"poné en database_direct_url la dirección del servidor mismo", "set database_direct_url to the server's own address"}))
	case a.Pooled:
		d.ok(PostgreSQL, words{"hay un pooler, y sirve así", "there is a pooler, and it will do"})
	}
	if !c.DatabaseDirectURL.Empty() {
		if _, err := pgstore.Examine(ctx, c.DatabaseDirectURL.First()); err != nil {
			d.broken(PostgreSQL, "database_direct_url: "+d.errorText(err), d.say(words{"corregila: las migraciones van por ahí", "mend it: migrations go that way"}))
		} else {
			d.ok(PostgreSQL, words{"database_direct_url contesta", "database_direct_url answers"})
		}
	}
	need := 2*c.Worker.Concurrency + len(c.Lines) + 4
	if !a.Pooled && a.MaxConnections > 0 && need*2 > a.MaxConnections {
		d.warn(PostgreSQL, d.say(words{"cada proceso puede abrir %d conexiones, y el servidor tiene %d", "each process may open %d connections, and the server has %d"}, need, a.MaxConnections),
			d.say(words{"subí max_connections, bajá worker.concurrency, o poné un PgBouncer", "raise max_connections, lower worker.concurrency, or put a PgBouncer between"}))
	}
}

// port says whether the router could listen; where one runs it does.
func (d *doctor) port(ctx context.Context) {
	addr := d.Config.Listen
	if d.Admin != nil {
		return // it has the port, or is a worker
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		d.broken(Port, d.say(words{"%s no se puede usar: %s", "%s cannot be used: %s"}, addr, d.errorText(err)),
			d.say(words{"mirá quién lo tiene (ss -ltnp), o cambiá listen", "see who has it (ss -ltnp), or change listen"}))
		return
	}
	l.Close()
	d.ok(Port, words{"%s está libre", "%s is free"}, addr)
}

// router asks the one that runs in data_dir.
func (d *doctor) router(ctx context.Context) {
	if d.Admin == nil {
		return
	}
	ctx, cancel := d.withTimeout(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://router/readyz", nil)
	if err != nil {
		return
	}
	res, err := d.Admin.Do(req)
	if err != nil {
		d.broken(Router, d.say(words{"corre, y no contesta: %s", "it runs, and does not answer: %s"}, d.errorText(err)),
			d.say(words{"mirá su registro; si sigue así, reinicialo", "look into its log; if it stays so, restart it"}))
		return
	}
	defer res.Body.Close()
	var answer struct {
		Checks []struct {
			Name  string `json:"name"`
			OK    bool   `json:"ok"`
			Error string `json:"error"`
			Info  bool   `json:"info"`
		} `json:"checks"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		d.broken(Router, d.errorText(err), "")
		return
	}
	bad := false
	for _, c := range answer.Checks {
		if c.OK {
			continue
		}
		bad = true
		if c.Info {
			d.warn(Router, c.Name+": "+c.Error, "")
		} else {
			d.broken(Router, c.Name+": "+c.Error, "")
		}
	}
	switch {
	case !bad && res.StatusCode == http.StatusOK:
		d.ok(Router, words{"corre, y está listo", "it runs, and is ready"})
	case !bad:
		d.broken(Router, d.say(words{"corre, y no está listo (%s)", "it runs, and is not ready (%s)"}, res.Status), "")
	}
}
