// Package cluster runs a temporary installation of the router: processes of the real
// program behind a proxy, with their own Redis and PostgreSQL or on SQLite, and a fake
// WhatsApp. It is for rehearsals and benchmarks. It must never touch a process, a server
// or a file that it did not make, nor leave one behind.
package cluster

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/psivisionhub/psi-router/internal/sandbox"
	"github.com/psivisionhub/psi-router/internal/servers"
)

//go:embed flow.yaml
var flow []byte

// The one line of the installation.
const (
	PhoneNumberID  = "200000000000009"
	Line           = "drill"
	AnswersPerHour = 1000

	database = "drill"
)

// Options of Start. Program is required.
type Options struct {
	// Program is the router's executable; Start runs it as "psi-router serve".
	Program string
	// Webhooks and Workers are the numbers of processes of each role. With Embedded one
	// process does everything, on SQLite.
	Webhooks, Workers int
	Embedded          bool
	// BackoffSpeedup divides the router's back-offs; default 1.
	BackoffSpeedup float64
	// Rate is the line's rate of sends; default 1000/s.
	Rate int
	// Flow is the router's flow; nil is one that answers every message once, up to
	// AnswersPerHour times an hour.
	Flow []byte
	// Config is added to the configuration, as YAML.
	Config string
	// Redis is the configuration of Redis; nil is servers.RedisAOF.
	Redis []string
	// DelayProxy puts a proxy before PostgreSQL, which DelayPostgres can slow down.
	DelayProxy bool
	// Parent is the directory for the files; "" is the system's temporary directory.
	Parent string
	// Record is the number of sends that the fake WhatsApp keeps.
	Record int
	// Accepted is called for each message that the fake WhatsApp accepts. The fake then
	// sends no statuses (the callback is expected to), unless Reports is set too.
	Accepted func(sandbox.Sent)
	Reports  bool
	// WrapWhatsApp, if set, wraps the handler of the fake WhatsApp.
	WrapWhatsApp func(http.Handler) http.Handler
	// CRM adds a fake CRM that gets every event.
	CRM bool
	// Note is called with unplanned incidents.
	Note func(string)
}

// Cluster is a running installation.
type Cluster struct {
	Redis       *servers.Redis    // nil when embedded
	Postgres    *servers.Postgres // nil when embedded
	WhatsApp    *sandbox.Server
	Graph       *Server // the listener of WhatsApp
	CRM         *CRM    // nil without Options.CRM
	Proxy       *Proxy
	Nodes       []*Node
	Secret, Key string // app secret; token of the line and an admin's API key
	Note        func(string)

	o     Options
	dir   string
	delay *servers.DelayProxy // to PostgreSQL; may be nil

	ctx    context.Context //nolint:containedctx // ends with the cluster
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// Start sets up a cluster. If it fails, it removes what it has made.
func Start(ctx context.Context, o Options) (_ *Cluster, err error) {
	if o.BackoffSpeedup == 0 {
		o.BackoffSpeedup = 1
	}
	if o.Rate == 0 {
		o.Rate = 1000
	}
	if o.Flow == nil {
		o.Flow = flow
	}
	if o.Redis == nil {
		o.Redis = servers.RedisAOF
	}
	c := &Cluster{o: o, Secret: rand.Text(), Key: rand.Text(), Note: o.Note}
	if c.Note == nil {
		c.Note = func(string) {}
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			c.Stop(false)
		}
	}()
	if c.dir, err = servers.Dir(o.Parent, "psi-drill-", nil); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	if err := c.startServers(ctx); err != nil {
		return nil, err
	}
	if err := c.startWhatsApp(ctx); err != nil {
		return nil, err
	}
	if o.CRM {
		if c.CRM, err = newCRM(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.configure(); err != nil {
		return nil, err
	}
	for _, m := range c.Nodes {
		if err := m.Start(ctx); err != nil {
			return nil, err
		}
		if err := m.Ready(ctx); err != nil { // one by one: the first migrates the database
			return nil, err
		}
	}
	return c, nil
}

func (c *Cluster) startServers(ctx context.Context) (err error) {
	var backends []string
	addNodes := func(role string, n int) error {
		for i := range n {
			m := &Node{cluster: c, Name: role + "-" + strconv.Itoa(i+1), Role: role}
			if role != RoleWorker {
				port, err := servers.ReservePort()
				if err != nil {
					return err
				}
				m.port = port
				backends = append(backends, port.Addr())
			}
			m.dir = filepath.Join(c.dir, m.Name)
			c.Nodes = append(c.Nodes, m)
		}
		return nil
	}
	if c.o.Embedded {
		err = addNodes(RoleAll, 1)
		c.Nodes[0].Name = "router"
	} else {
		if c.Redis, err = servers.NewRedis(ctx, servers.RedisOptions{Parent: c.dir, Config: c.o.Redis}); err != nil {
			return err
		}
		if c.Postgres, err = servers.NewPostgres(ctx, servers.PostgresOptions{Parent: c.dir, Durable: true}); err != nil {
			return err
		}
		if err := c.Postgres.Exec(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
			return err
		}
		err = errors.Join(addNodes(RoleWebhook, c.o.Webhooks), addNodes(RoleWorker, c.o.Workers))
	}
	if err != nil {
		return err
	}
	c.Proxy, err = newProxy(backends)
	return err
}

// startWhatsApp starts the fake WhatsApp, which sends statuses to the proxy.
func (c *Cluster) startWhatsApp(ctx context.Context) (err error) {
	c.WhatsApp, err = sandbox.New(sandbox.Options{
		PhoneNumberID: PhoneNumberID, AppSecret: c.Secret, Token: c.Key,
		WebhookURL: func() string { return c.Proxy.URL() + "/webhook" },
		KeepSent:   c.o.Record, NoFaults: true, NoPhones: true, Hang: 2 * time.Second, Pace: 0.5,
		Backoff: 100 * time.Millisecond, Accepted: c.o.Accepted, NoStatuses: c.o.Accepted != nil && !c.o.Reports,
	})
	if err != nil {
		return err
	}
	c.work.Go(func() { _ = c.WhatsApp.Run(c.ctx) }) // Run returns nil
	handler := c.WhatsApp.Handler()
	if c.o.WrapWhatsApp != nil {
		handler = c.o.WrapWhatsApp(handler)
	}
	c.Graph, err = newServer(ctx, handler)
	return err
}

// configure writes the configuration that all processes share.
func (c *Cluster) configure() error {
	text := fmt.Sprintf(`graph_url: http://%s/sandbox/graph/v26.0
flow: %q
drain_timeout: 10s
api_keys: [{name: drill, key: %q, role: admin, rate: 5000/s}]
lines:
  %s: {provider: cloud, phone_number_id: %q, token: %q, app_secret: %q, verify_token: drill, rate: %d/s}
`, c.Graph.port.Addr(), filepath.Join(c.dir, "flow.yaml"), c.Key, Line, PhoneNumberID, c.Key, c.Secret, c.o.Rate) + c.o.Config
	if c.CRM != nil {
		text += fmt.Sprintf("endpoints: [{name: crm, url: \"http://%s/events\", secret: %q, allow: [%q]}]\n", c.CRM.port.Addr(), c.CRM.secret, c.CRM.port.Addr())
	}
	if c.Redis != nil {
		database, err := c.database()
		if err != nil {
			return err
		}
		text += fmt.Sprintf("redis_url: %q\ndatabase_url: %q\n", c.Redis.URL(), database)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(c.dir, "flow.yaml"), c.o.Flow, 0o600),
		os.WriteFile(c.config(), []byte(text), 0o600),
	)
}

// database returns the address of PostgreSQL, through the delaying proxy if there is one.
func (c *Cluster) database() (string, error) {
	if !c.o.DelayProxy {
		return c.Postgres.URL(database), nil
	}
	u, err := url.Parse(c.Postgres.TCPURL(database))
	if err != nil {
		return "", err
	}
	if c.delay, err = servers.NewDelayProxy(u.Host); err != nil {
		return "", err
	}
	u.Host = c.delay.Addr
	return u.String(), nil
}

func (c *Cluster) config() string { return filepath.Join(c.dir, "psi-router.yaml") }

// DoorURL is the address of the webhooks: the process that serves them, or the proxy if
// there are several.
func (c *Cluster) DoorURL() string {
	if len(c.Proxy.backends) == 1 {
		return "http://" + c.Proxy.backends[0]
	}
	return c.Proxy.URL()
}

// DelayPostgres makes each call to PostgreSQL take d longer from now on.
func (c *Cluster) DelayPostgres(d time.Duration) {
	if c.delay != nil {
		c.delay.SetDelay(d)
	}
}

// Pick returns a process of a role, preferably one with open connections: after a restart
// of a webhook process all connections are with the others.
func (c *Cluster) Pick(role string, n int) *Node {
	var candidates, busy []*Node
	for _, m := range c.Nodes {
		if m.Role != role {
			continue
		}
		candidates = append(candidates, m)
		if m.port != nil && c.Proxy.busy(m.port.Addr()) {
			busy = append(busy, m)
		}
	}
	if busy != nil {
		candidates = busy
	}
	return candidates[n%len(candidates)]
}

// Shutdown stops all processes with SIGTERM, and notes those that end late or with an error.
func (c *Cluster) Shutdown() {
	var all sync.WaitGroup
	for _, m := range c.Nodes {
		all.Go(func() {
			if err := m.Stop(); err != nil {
				c.Note(err.Error())
			}
		})
	}
	all.Wait()
}

// Stop ends everything. It removes the files, or with keep returns their directory.
func (c *Cluster) Stop(keep bool) string {
	c.cancel()
	for _, m := range c.Nodes {
		m.Kill(syscall.SIGKILL)
		if m.port != nil {
			m.port.Close()
		}
	}
	if c.Proxy != nil {
		c.Proxy.close()
	}
	if c.Graph != nil {
		c.Graph.closeForGood()
	}
	if c.CRM != nil {
		c.CRM.closeForGood()
	}
	c.work.Wait()
	if c.Redis != nil {
		c.Redis.Kill()
	}
	if c.delay != nil {
		c.delay.Close()
	}
	if c.Postgres != nil {
		c.Postgres.Stop()
	}
	if keep || c.dir == "" {
		return c.dir
	}
	if c.Redis != nil {
		c.Redis.Close()
	}
	if c.Postgres != nil {
		c.Postgres.Close()
	}
	if err := os.RemoveAll(c.dir); err != nil {
		c.Note(fmt.Sprintf("cannot remove the files: %v", err))
		return c.dir
	}
	return ""
}
