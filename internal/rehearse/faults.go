package rehearse

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/servers"
)

// kind is a kind of fault.
type kind struct {
	name              string
	shortest, longest time.Duration
	// minFaults is the number of faults from which a drill includes this kind.
	minFaults int
	where     where
	until     until
	// outage is set if the fault takes away a service that the processes need: they wait
	// and retry.
	outage bool
	inject injection
}

// injection begins a fault and returns its target; restore ends the fault. pick selects
// the target, or is the size of a fault that a load test asks for.
type injection func(ctx context.Context, c *cluster.Cluster, pick int) (what string, restore func(context.Context) error, err error)

// where is the installation that a fault needs.
type where uint8

const (
	anywhere where = iota
	many           // processes, Redis, PostgreSQL
	alone          // one process
	asked          // any; only a load test asks for it
)

// until is when a fault ends.
type until uint8

const (
	untilHealed until = iota // after its duration, during the load
	untilDone                // when all work is done
	untilTold                // when another fault replaces it
)

func (k kind) fits(embedded bool) bool {
	return k.where == anywhere || k.where == map[bool]where{true: alone, false: many}[embedded]
}

const (
	restartAll = "restart_all"
	killRedis  = "kill_redis"
	slowStore  = "slow_postgres"
	cutAnswers = "whatsapp_cuts_some"
	// CRMFault is the prefix of the CRM's faults; the mode follows.
	CRMFault = "crm_"
)

// kinds is the table of faults.
var kinds = []kind{
	{name: "kill_worker", shortest: 200 * time.Millisecond, longest: 2 * time.Second, where: many, inject: kill(cluster.RoleWorker)},
	{name: "kill_webhook", shortest: 200 * time.Millisecond, longest: 2 * time.Second, where: many, inject: kill(cluster.RoleWebhook)},
	{name: "kill_router", shortest: 50 * time.Millisecond, longest: time.Second, where: alone, inject: kill(cluster.RoleAll)},
	{name: "freeze_worker", shortest: time.Second, longest: 5 * time.Second, where: many, inject: freeze(cluster.RoleWorker)},
	{name: "freeze_webhook", shortest: time.Second, longest: 5 * time.Second, where: many, inject: freeze(cluster.RoleWebhook)},
	{name: "freeze_router", shortest: time.Second, longest: 5 * time.Second, where: alone, inject: freeze(cluster.RoleAll)},
	// Longer than a lease: others have its work by then.
	{name: "stall_worker", shortest: 33 * time.Second, longest: 40 * time.Second, minFaults: 20, where: many, inject: freeze(cluster.RoleWorker)},
	{name: restartAll, where: anywhere, inject: rolling},
	{name: killRedis, shortest: 50 * time.Millisecond, longest: 2 * time.Second, where: many, outage: true, inject: redisDies},
	{name: "stop_postgres", shortest: 500 * time.Millisecond, longest: 5 * time.Second, where: many, outage: true, inject: postgresEnds((*servers.Postgres).Stop)},
	{name: "kill_postgres", shortest: 50 * time.Millisecond, longest: time.Second, where: many, outage: true, inject: postgresEnds((*servers.Postgres).Kill)},
	{name: "whatsapp_throttles", shortest: time.Second, longest: 4 * time.Second, outage: true, inject: answers("130429")},
	{name: "whatsapp_refuses_token", shortest: time.Second, longest: 3 * time.Second, outage: true, inject: answers("190")},
	{name: "whatsapp_hangs", shortest: 500 * time.Millisecond, longest: 2 * time.Second, outage: true, inject: answers("cuelgue")},
	{name: "whatsapp_cuts", shortest: 200 * time.Millisecond, longest: time.Second, outage: true, inject: answers("corte")},
	{name: "whatsapp_fails", shortest: time.Second, longest: 4 * time.Second, outage: true, inject: answers("131000")},
	{name: "whatsapp_gateway", shortest: 200 * time.Millisecond, longest: time.Second, outage: true, inject: answers("500")},
	{name: "whatsapp_unreachable", shortest: time.Second, longest: 4 * time.Second, outage: true, inject: unplug},
	{name: cutAnswers, where: asked, until: untilTold, inject: someAnswers("corte")},
	{name: slowStore, where: asked, until: untilDone, inject: delayPostgres},
	{name: CRMFault + cluster.CRMWorks, where: asked, until: untilTold, inject: crm(cluster.CRMWorks)},
	{name: CRMFault + cluster.CRMSlow, where: asked, until: untilTold, inject: crm(cluster.CRMSlow)},
	{name: CRMFault + cluster.CRMFails, where: asked, until: untilTold, inject: crm(cluster.CRMFails)},
	{name: CRMFault + cluster.CRMHangs, where: asked, until: untilTold, inject: crm(cluster.CRMHangs)},
	{name: CRMFault + cluster.CRMGone, where: asked, until: untilTold, inject: crm(cluster.CRMGone)},
}

func kill(role string) injection {
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

func freeze(role string) injection {
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

func redisDies(_ context.Context, s *cluster.Cluster, _ int) (string, func(context.Context) error, error) {
	s.Redis.Kill()
	return "redis", s.Redis.Restart, nil
}

func postgresEnds(how func(*servers.Postgres)) injection {
	return func(_ context.Context, s *cluster.Cluster, _ int) (string, func(context.Context) error, error) {
		how(s.Postgres)
		return "postgres", s.Postgres.Start, nil
	}
}

// delayPostgres makes each call to PostgreSQL take ns nanoseconds longer.
func delayPostgres(_ context.Context, s *cluster.Cluster, ns int) (string, func(context.Context) error, error) {
	s.DelayPostgres(time.Duration(ns))
	return "postgres", func(context.Context) error {
		s.DelayPostgres(0)
		return nil
	}, nil
}

// crm sets the mode of the CRM.
func crm(way string) injection {
	return func(ctx context.Context, s *cluster.Cluster, _ int) (string, func(context.Context) error, error) {
		return "crm", nil, s.CRM.SetMode(ctx, way)
	}
}

// answers makes WhatsApp answer every send with a fault of the sandbox.
func answers(word string) injection {
	return func(_ context.Context, s *cluster.Cluster, _ int) (string, func(context.Context) error, error) {
		return "whatsapp", func(context.Context) error {
			s.WhatsApp.ClearFault()
			return nil
		}, s.WhatsApp.InjectFault(word)
	}
}

// someAnswers makes WhatsApp answer one send in `each` with a fault of the sandbox.
func someAnswers(word string) injection {
	return func(_ context.Context, s *cluster.Cluster, each int) (string, func(context.Context) error, error) {
		return "whatsapp", nil, s.WhatsApp.InjectFaultEvery(word, each)
	}
}

// unplug takes WhatsApp off the network.
func unplug(_ context.Context, s *cluster.Cluster, _ int) (string, func(context.Context) error, error) {
	s.Graph.Close()
	return "whatsapp", s.Graph.Open, nil
}
