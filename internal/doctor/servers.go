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
		fix := d.say(checkRedis)
		if errors.Is(err, redisqueue.ErrSetup) {
			fix = "" // the error has the fix
		}
		d.broken(Redis, d.errorText(err), fix)
		return
	}
	defer func() { _ = e.Close() }() // only read
	a, err := e.ServerInfo(ctx)
	if err != nil {
		d.broken(Redis, d.errorText(err), "")
		return
	}
	d.noteClock("Redis", a.ClockAhead)
	d.ok(Redis, redisOK, a.Version, a.Addr, formatSize(uint64(max(a.UsedMemory, 0))))
	switch d.Config.Durability {
	case "replica":
		if a.Replicas == 0 {
			d.broken(Redis, d.say(noReplica), d.say(attachReplica))
		} else {
			d.ok(Redis, waitsForReplica, a.Replicas)
		}
	case "relaxed":
		d.warn(Redis, d.say(relaxed), d.say(setFsync))
	default:
		d.ok(Redis, onDisk)
	}
	if a.MaxMemory > 0 && a.UsedMemory*10 > a.MaxMemory*8 {
		d.warn(Redis, d.say(redisMemory, formatSize(uint64(a.UsedMemory)), formatSize(uint64(a.MaxMemory))), d.say(raiseMemory))
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
		d.broken(PostgreSQL, d.errorText(err), d.say(checkPostgres))
		return
	}
	d.noteClock("PostgreSQL", a.ClockAhead)
	d.ok(PostgreSQL, postgresOK, a.Version)
	switch {
	case a.SchemaVersion == 0:
		d.warn(PostgreSQL, d.say(noSchema), d.say(createSchema))
	case a.SchemaVersion < a.KnownVersion:
		d.warn(PostgreSQL, d.say(oldSchema, a.SchemaVersion, a.KnownVersion), d.say(updateSchema))
	case a.SchemaVersion > a.KnownVersion:
		d.broken(PostgreSQL, d.say(newSchema, a.SchemaVersion, a.KnownVersion), d.say(updateProgram))
	default:
		d.ok(PostgreSQL, schemaOK, a.SchemaVersion)
	}
	if !a.Fsync {
		d.broken(PostgreSQL, d.say(fsyncOff), "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();")
	}
	d.pool(ctx, a)
}

// pool checks the pooler and the number of connections.
func (d *doctor) pool(ctx context.Context, a pgstore.ServerInfo) {
	c := d.Config
	switch {
	case a.Pooled && c.DatabaseDirectURL.Empty():
		d.warn(PostgreSQL, d.say(pooled), d.say(setDirect))
	case a.Pooled:
		d.ok(PostgreSQL, poolerOK)
	}
	if !c.DatabaseDirectURL.Empty() {
		if _, err := pgstore.Examine(ctx, c.DatabaseDirectURL.First()); err != nil {
			d.broken(PostgreSQL, "database_direct_url: "+d.errorText(err), d.say(fixDirect))
		} else {
			d.ok(PostgreSQL, directOK)
		}
	}
	need := 2*c.Worker.Concurrency + len(c.Lines) + 4
	if !a.Pooled && a.MaxConnections > 0 && need*2 > a.MaxConnections {
		d.warn(PostgreSQL, d.say(manyConnections, need, a.MaxConnections), d.say(raiseConnections))
	}
}

// port checks that the router could listen; a running router already does.
func (d *doctor) port(ctx context.Context) {
	addr := d.Config.Listen
	if d.Admin != nil {
		return // a router that has the port, or a worker
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		d.broken(Port, d.say(cannotListen, addr, d.errorText(err)), d.say(changeListen))
		return
	}
	l.Close()
	d.ok(Port, portFree, addr)
}

// router asks the router that runs in data_dir.
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
		d.broken(Router, d.say(routerSilent, d.errorText(err)), d.say(restartRouter))
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
		d.ok(Router, routerOK)
	case !bad:
		d.broken(Router, d.say(routerNotReady, res.Status), "")
	}
}
