package drill

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net"
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

const (
	phoneNumberID = "200000000000009"
	line          = "drill"
)

// stage is everything that a drill has made.
type stage struct {
	program     string
	hurry       float64
	dir         string
	secret, key string
	redis       *servers.Redis
	postgres    *servers.Postgres
	whatsapp    *sandbox.Server
	graph       *outlet
	front       *front
	members     []*member
	note        func(string)

	ctx    context.Context //nolint:containedctx // ends with the stage
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// raise sets the stage. What it made is gone again when it fails.
func raise(ctx context.Context, o Options, note func(string)) (_ *stage, err error) {
	s := &stage{program: o.Program, hurry: o.Hurry, secret: rand.Text(), key: rand.Text(), note: note}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.fall(false)
		}
	}()
	if s.dir, err = servers.Dir(o.Parent, "psi-drill-", nil); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	if err := s.raiseServers(ctx, o); err != nil {
		return nil, err
	}
	if err := s.raiseWhatsApp(ctx, o); err != nil {
		return nil, err
	}
	if err := s.configure(); err != nil {
		return nil, err
	}
	for _, m := range s.members {
		if err := m.start(ctx); err != nil {
			return nil, err
		}
		if err := m.ready(ctx); err != nil { // one by one: the first migrates
			return nil, err
		}
	}
	return s, nil
}

func (s *stage) raiseServers(ctx context.Context, o Options) (err error) {
	var fronted []string
	cast := func(role string, n int) error {
		for i := range n {
			m := &member{stage: s, name: role + "-" + strconv.Itoa(i+1), role: role}
			if role != roleWorker {
				port, err := servers.FreePort()
				if err != nil {
					return err
				}
				m.listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
				fronted = append(fronted, m.listen)
			}
			m.dir = filepath.Join(s.dir, m.name)
			s.members = append(s.members, m)
		}
		return nil
	}
	if o.Embedded {
		err = cast(roleAll, 1)
		s.members[0].name = "router"
	} else {
		if s.redis, err = servers.NewRedis(ctx, servers.RedisOptions{Parent: s.dir, Config: servers.RedisAOF}); err != nil {
			return err
		}
		if s.postgres, err = servers.NewPostgres(ctx, servers.PostgresOptions{Parent: s.dir, Durable: true}); err != nil {
			return err
		}
		if err := s.postgres.Exec(ctx, "postgres", "CREATE DATABASE drill"); err != nil {
			return err
		}
		err = errors.Join(cast(roleWebhook, o.Webhooks), cast(roleWorker, o.Workers))
	}
	if err != nil {
		return err
	}
	s.front, err = newFront(fronted)
	return err
}

// raiseWhatsApp starts the fake one, which reports what became of each message
// to the front.
func (s *stage) raiseWhatsApp(ctx context.Context, o Options) (err error) {
	s.whatsapp, err = sandbox.New(sandbox.Options{
		PhoneNumberID: phoneNumberID, AppSecret: s.secret, Token: s.key,
		WebhookURL: func() string { return s.front.url() + "/webhook" },
		Record:     2*o.Messages + 1000, NoFaults: true, NoPhones: true, Hang: 2 * time.Second, Pace: 0.5,
		Backoff: 100 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	s.work.Go(func() { _ = s.whatsapp.Run(s.ctx) }) // it returns nil
	s.graph, err = newOutlet(ctx, s.whatsapp.Handler())
	return err
}

// configure writes what all processes share.
func (s *stage) configure() error {
	text := fmt.Sprintf(`graph_url: http://%s/sandbox/graph/v26.0
flow: %q
drain_timeout: 10s
api_keys: [{name: drill, key: %q, role: admin}]
lines:
  %s: {provider: cloud, phone_number_id: %q, token: %q, app_secret: %q, verify_token: drill, rate: 1000/s}
`, s.graph.addr, filepath.Join(s.dir, "flow.yaml"), s.key, line, phoneNumberID, s.key, s.secret)
	if s.redis != nil {
		text += fmt.Sprintf("redis_url: %q\ndatabase_url: %q\n", s.redis.URL(), s.postgres.URL("drill"))
	}
	return errors.Join(
		os.WriteFile(filepath.Join(s.dir, "flow.yaml"), flow, 0o600),
		os.WriteFile(s.config(), []byte(text), 0o600),
	)
}

func (s *stage) config() string { return filepath.Join(s.dir, "psi-router.yaml") }

// pick chooses a process of a role, of webhooks one that is busy: after a
// restart all connections are with its neighbours.
func (s *stage) pick(role string, n int) *member {
	var some, busy []*member
	for _, m := range s.members {
		if m.role != role {
			continue
		}
		some = append(some, m)
		if s.front.serves(m.listen) {
			busy = append(busy, m)
		}
	}
	if busy != nil {
		some = busy
	}
	return some[n%len(some)]
}

// rest stops all processes in order, and notes what they do not do well.
func (s *stage) rest() {
	var all sync.WaitGroup
	for _, m := range s.members {
		all.Go(func() {
			if err := m.stop(); err != nil {
				s.note(err.Error())
			}
		})
	}
	all.Wait()
}

// fall ends everything, and removes the files unless they are to be kept; then
// it returns where they are.
func (s *stage) fall(keep bool) string {
	s.cancel()
	for _, m := range s.members {
		m.end(syscall.SIGKILL)
	}
	if s.front != nil {
		s.front.close()
	}
	if s.graph != nil {
		s.graph.close()
	}
	s.work.Wait()
	if s.redis != nil {
		s.redis.Kill()
	}
	if s.postgres != nil {
		s.postgres.Stop()
	}
	if keep || s.dir == "" {
		return s.dir
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.note(fmt.Sprintf("the files could not be removed: %v", err))
		return s.dir
	}
	return ""
}
