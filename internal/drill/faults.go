package drill

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
)

// kind is a way in which things go wrong.
type kind struct {
	name              string
	shortest, longest time.Duration
	// minFaults is how many faults a drill must have to afford it.
	minFaults int
	where     where
	// outage says that it takes away what processes cannot do without: they wait
	// and try again.
	outage bool
	// inject begins it and says whom it meets; heal ends it.
	inject func(ctx context.Context, s *cluster.Cluster, pick int) (what string, restore func(context.Context) error, err error)
}

// where says what a fault needs.
type where uint8

const (
	anywhere where = iota
	many           // processes, Redis, PostgreSQL
	alone          // one process
)

func (k kind) fits(embedded bool) bool {
	return k.where == anywhere || (k.where == alone) == embedded
}

const restartAll = "restart_all"

// kinds is everything that can go wrong.
var kinds = []kind{
	{name: "kill_worker", shortest: 200 * time.Millisecond, longest: 2 * time.Second, where: many, inject: kill(cluster.RoleWorker)},
	{name: "kill_webhook", shortest: 200 * time.Millisecond, longest: 2 * time.Second, where: many, inject: kill(cluster.RoleWebhook)},
	{name: "kill_router", shortest: 50 * time.Millisecond, longest: time.Second, where: alone, inject: kill(cluster.RoleAll)},
	{name: "freeze_worker", shortest: time.Second, longest: 5 * time.Second, where: many, inject: freeze(cluster.RoleWorker)},
	{name: "freeze_webhook", shortest: time.Second, longest: 5 * time.Second, where: many, inject: freeze(cluster.RoleWebhook)},
	{name: "freeze_router", shortest: time.Second, longest: 5 * time.Second, where: alone, inject: freeze(cluster.RoleAll)},
	// Longer than a lease: somebody else has its work by then.
	{name: "stall_worker", shortest: 33 * time.Second, longest: 40 * time.Second, minFaults: 20, where: many, inject: freeze(cluster.RoleWorker)},
	{name: restartAll, where: anywhere, inject: rolling},
	{name: "kill_redis", shortest: 50 * time.Millisecond, longest: 2 * time.Second, where: many, outage: true, inject: killRedis},
	{name: "stop_postgres", shortest: 500 * time.Millisecond, longest: 5 * time.Second, where: many, outage: true, inject: stopPostgres},
	{name: "kill_postgres", shortest: 50 * time.Millisecond, longest: time.Second, where: many, outage: true, inject: killPostgres},
	{name: "whatsapp_throttles", shortest: time.Second, longest: 4 * time.Second, outage: true, inject: answers("130429")},
	{name: "whatsapp_refuses_token", shortest: time.Second, longest: 3 * time.Second, outage: true, inject: answers("190")},
	{name: "whatsapp_hangs", shortest: 500 * time.Millisecond, longest: 2 * time.Second, outage: true, inject: answers("cuelgue")},
	{name: "whatsapp_cuts", shortest: 200 * time.Millisecond, longest: time.Second, outage: true, inject: answers("corte")},
	{name: "whatsapp_fails", shortest: time.Second, longest: 4 * time.Second, outage: true, inject: answers("131000")},
	{name: "whatsapp_gateway", shortest: 200 * time.Millisecond, longest: time.Second, outage: true, inject: answers("500")},
	{name: "whatsapp_unreachable", shortest: time.Second, longest: 4 * time.Second, outage: true, inject: unplug},
}

func kill(role string) func(context.Context, *cluster.Cluster, int) (string, func(context.Context) error, error) {
	return func(_ context.Context, s *cluster.Cluster, pick int) (string, func(context.Context) error, error) {
		m := s.Pick(role, pick)
		m.Kill(syscall.SIGKILL)
		return m.Name, func(ctx context.Context) error {
			if err := m.Start(ctx); err != nil {
				return err
			}
			return m.Ready(ctx)
		}, nil
	}
}

func freeze(role string) func(context.Context, *cluster.Cluster, int) (string, func(context.Context) error, error) {
	return func(_ context.Context, s *cluster.Cluster, pick int) (string, func(context.Context) error, error) {
		m := s.Pick(role, pick)
		return m.Name, func(ctx context.Context) error {
			if err := m.Signal(syscall.SIGCONT); err != nil {
				return err
			}
			return m.Ready(ctx)
		}, m.Signal(syscall.SIGSTOP)
	}
}

// rolling restarts all processes, one after the other, as an upgrade does.
func rolling(_ context.Context, s *cluster.Cluster, pick int) (string, func(context.Context) error, error) {
	order := slices.Clone(s.Nodes)
	if pick%2 == 0 {
		slices.Reverse(order)
	}
	return fmt.Sprintf("%d of %d", len(order), len(order)), func(ctx context.Context) error {
		for _, m := range order {
			if err := m.Stop(); err != nil {
				s.Note(err.Error())
			}
			if err := m.Start(ctx); err != nil {
				return err
			}
			if err := m.Ready(ctx); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func killRedis(_ context.Context, s *cluster.Cluster, _ int) (string, func(context.Context) error, error) {
	s.Redis.Kill()
	return "redis", s.Redis.Restart, nil
}

func stopPostgres(_ context.Context, s *cluster.Cluster, _ int) (string, func(context.Context) error, error) {
	s.Postgres.Stop()
	return "postgres", s.Postgres.Start, nil
}

func killPostgres(_ context.Context, s *cluster.Cluster, _ int) (string, func(context.Context) error, error) {
	s.Postgres.Kill()
	return "postgres", s.Postgres.Start, nil
}

// answers makes WhatsApp meet every send with a fault of the sandbox.
func answers(word string) func(context.Context, *cluster.Cluster, int) (string, func(context.Context) error, error) {
	return func(_ context.Context, s *cluster.Cluster, _ int) (string, func(context.Context) error, error) {
		return "whatsapp", func(context.Context) error {
			s.WhatsApp.ClearFault()
			return nil
		}, s.WhatsApp.InjectFault(word)
	}
}

// unplug takes WhatsApp off the network.
func unplug(_ context.Context, s *cluster.Cluster, _ int) (string, func(context.Context) error, error) {
	s.Graph.Close()
	return "whatsapp", s.Graph.Open, nil
}
