// Package stage sets up an installation of the router that is thrown away:
// processes of the real program, with a Redis and a PostgreSQL of their own or
// on SQLite, behind a front, and a fake WhatsApp. It is for drills and load
// tests. It must never touch a process, a server or a file that it did not make,
// and never leave one behind.
package stage

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

// The one line of the installation. Its flow answers whatever is written, once,
// and up to AnswersPerHour times an hour.
const (
	PhoneNumberID  = "200000000000009"
	Line           = "drill"
	AnswersPerHour = 1000

	database = "drill"
)

// Options of Raise. Program is required.
type Options struct {
	// Program is the router's executable; it is started as "psi-router serve".
	Program string
	// Webhooks and Workers are how many processes there are of each. With
	// Embedded there is one for everything, on SQLite.
	Webhooks, Workers int
	Embedded          bool
	// Hurry makes the router's back-offs pass so many times faster; 1 unless told.
	Hurry float64
	// Rate is how many messages the line may send, 1000/s unless told.
	Rate int
	// Wire puts a wire before PostgreSQL that Delay makes slow.
	Wire bool
	// Parent is where the files are made; "" is the system's directory for
	// temporary ones.
	Parent string
	// Record is how many sends the fake WhatsApp keeps.
	Record int
	// Accepted is called with each message that WhatsApp takes. With it WhatsApp
	// reports nothing itself: who is told does, unless Reports is set.
	Accepted func(sandbox.Sent)
	Reports  bool
	// Before, when set, stands before the fake WhatsApp and sees each request.
	Before func(http.Handler) http.Handler
	// CRM puts one beside the router, which gets every event.
	CRM bool
	// Note is called with what nobody planned.
	Note func(string)
}

// Stage is everything that was made.
type Stage struct {
	Redis       *servers.Redis    // nil when embedded
	Postgres    *servers.Postgres // nil when embedded
	WhatsApp    *sandbox.Server
	Graph       *Outlet // where it listens
	CRM         *CRM    // nil unless asked for
	Front       *Front
	Members     []*Member
	Secret, Key string // app secret; token of the line, and an admin's key
	Note        func(string)

	o    Options
	dir  string
	wire *servers.DelayProxy // to PostgreSQL; may be nil

	ctx    context.Context //nolint:containedctx // ends with the stage
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// Raise sets the stage. What it made is gone again when it fails.
func Raise(ctx context.Context, o Options) (_ *Stage, err error) {
	if o.Hurry == 0 {
		o.Hurry = 1
	}
	if o.Rate == 0 {
		o.Rate = 1000
	}
	s := &Stage{o: o, Secret: rand.Text(), Key: rand.Text(), Note: o.Note}
	if s.Note == nil {
		s.Note = func(string) {}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.Fall(false)
		}
	}()
	if s.dir, err = servers.Dir(o.Parent, "psi-drill-", nil); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	if err := s.raiseServers(ctx); err != nil {
		return nil, err
	}
	if err := s.raiseWhatsApp(ctx); err != nil {
		return nil, err
	}
	if o.CRM {
		if s.CRM, err = newCRM(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.configure(); err != nil {
		return nil, err
	}
	for _, m := range s.Members {
		if err := m.Start(ctx); err != nil {
			return nil, err
		}
		if err := m.Ready(ctx); err != nil { // one by one: the first migrates
			return nil, err
		}
	}
	return s, nil
}

func (s *Stage) raiseServers(ctx context.Context) (err error) {
	var fronted []string
	cast := func(role string, n int) error {
		for i := range n {
			m := &Member{stage: s, Name: role + "-" + strconv.Itoa(i+1), Role: role}
			if role != RoleWorker {
				port, err := servers.ReservePort()
				if err != nil {
					return err
				}
				m.port = port
				fronted = append(fronted, port.Addr())
			}
			m.dir = filepath.Join(s.dir, m.Name)
			s.Members = append(s.Members, m)
		}
		return nil
	}
	if s.o.Embedded {
		err = cast(RoleAll, 1)
		s.Members[0].Name = "router"
	} else {
		if s.Redis, err = servers.NewRedis(ctx, servers.RedisOptions{Parent: s.dir, Config: servers.RedisAOF}); err != nil {
			return err
		}
		if s.Postgres, err = servers.NewPostgres(ctx, servers.PostgresOptions{Parent: s.dir, Durable: true}); err != nil {
			return err
		}
		if err := s.Postgres.Exec(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
			return err
		}
		err = errors.Join(cast(RoleWebhook, s.o.Webhooks), cast(RoleWorker, s.o.Workers))
	}
	if err != nil {
		return err
	}
	s.Front, err = newFront(fronted)
	return err
}

// raiseWhatsApp starts the fake one, which reports what became of each message
// to the front.
func (s *Stage) raiseWhatsApp(ctx context.Context) (err error) {
	s.WhatsApp, err = sandbox.New(sandbox.Options{
		PhoneNumberID: PhoneNumberID, AppSecret: s.Secret, Token: s.Key,
		WebhookURL: func() string { return s.Front.URL() + "/webhook" },
		KeepSent:   s.o.Record, NoFaults: true, NoPhones: true, Hang: 2 * time.Second, Pace: 0.5,
		Backoff: 100 * time.Millisecond, Accepted: s.o.Accepted, NoStatuses: s.o.Accepted != nil && !s.o.Reports,
	})
	if err != nil {
		return err
	}
	s.work.Go(func() { _ = s.WhatsApp.Run(s.ctx) }) // it returns nil
	handler := s.WhatsApp.Handler()
	if s.o.Before != nil {
		handler = s.o.Before(handler)
	}
	s.Graph, err = newOutlet(ctx, handler)
	return err
}

// configure writes what all processes share.
func (s *Stage) configure() error {
	text := fmt.Sprintf(`graph_url: http://%s/sandbox/graph/v26.0
flow: %q
drain_timeout: 10s
api_keys: [{name: drill, key: %q, role: admin, rate: 5000/s}]
lines:
  %s: {provider: cloud, phone_number_id: %q, token: %q, app_secret: %q, verify_token: drill, rate: %d/s}
`, s.Graph.port.Addr(), filepath.Join(s.dir, "flow.yaml"), s.Key, Line, PhoneNumberID, s.Key, s.Secret, s.o.Rate)
	if s.CRM != nil {
		text += fmt.Sprintf("endpoints: [{name: crm, url: \"http://%s/events\", secret: %q, allow: [%q]}]\n", s.CRM.port.Addr(), s.CRM.secret, s.CRM.port.Addr())
	}
	if s.Redis != nil {
		database, err := s.database()
		if err != nil {
			return err
		}
		text += fmt.Sprintf("redis_url: %q\ndatabase_url: %q\n", s.Redis.URL(), database)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(s.dir, "flow.yaml"), flow, 0o600),
		os.WriteFile(s.config(), []byte(text), 0o600),
	)
}

// database is its address, over the wire if there is one.
func (s *Stage) database() (string, error) {
	if !s.o.Wire {
		return s.Postgres.URL(database), nil
	}
	u, err := url.Parse(s.Postgres.TCPURL(database))
	if err != nil {
		return "", err
	}
	if s.wire, err = servers.NewDelayProxy(u.Host); err != nil {
		return "", err
	}
	u.Host = s.wire.Addr
	return u.String(), nil
}

func (s *Stage) config() string { return filepath.Join(s.dir, "psi-router.yaml") }

// Door is where the webhook is: of the only process that has one, or of the
// front.
func (s *Stage) Door() string {
	if len(s.Front.behind) == 1 {
		return "http://" + s.Front.behind[0]
	}
	return s.Front.URL()
}

// Delay makes each call to PostgreSQL take so much longer from now on.
func (s *Stage) Delay(d time.Duration) {
	if s.wire != nil {
		s.wire.SetDelay(d)
	}
}

// Pick chooses a process of a role, of webhooks one that is busy: after a
// restart all connections are with its neighbours.
func (s *Stage) Pick(role string, n int) *Member {
	var some, busy []*Member
	for _, m := range s.Members {
		if m.Role != role {
			continue
		}
		some = append(some, m)
		if m.port != nil && s.Front.serves(m.port.Addr()) {
			busy = append(busy, m)
		}
	}
	if busy != nil {
		some = busy
	}
	return some[n%len(some)]
}

// Rest stops all processes in order, and notes what they do not do well.
func (s *Stage) Rest() {
	var all sync.WaitGroup
	for _, m := range s.Members {
		all.Go(func() {
			if err := m.Stop(); err != nil {
				s.Note(err.Error())
			}
		})
	}
	all.Wait()
}

// Fall ends everything, and removes the files unless they are to be kept; then
// it returns where they are.
func (s *Stage) Fall(keep bool) string {
	s.cancel()
	for _, m := range s.Members {
		m.End(syscall.SIGKILL)
		if m.port != nil {
			m.port.Close()
		}
	}
	if s.Front != nil {
		s.Front.close()
	}
	if s.Graph != nil {
		s.Graph.end()
	}
	if s.CRM != nil {
		s.CRM.end()
	}
	s.work.Wait()
	if s.Redis != nil {
		s.Redis.Kill()
	}
	if s.wire != nil {
		s.wire.Close()
	}
	if s.Postgres != nil {
		s.Postgres.Stop()
	}
	if keep || s.dir == "" {
		return s.dir
	}
	if s.Redis != nil {
		s.Redis.Close()
	}
	if s.Postgres != nil {
		s.Postgres.Close()
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.Note(fmt.Sprintf("the files could not be removed: %v", err))
		return s.dir
	}
	return ""
}
