package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/servers"
)

// MasterSet is the name under which the Sentinels know their primary.
const MasterSet = "psi"

// Sentinels are a primary with one replica, watched by three Sentinels.
type Sentinels struct {
	Primary, Replica *Server
	Watchers         [3]*Server
}

// StartSentinels starts Sentinels that end with the test.
func StartSentinels(tb testing.TB) *Sentinels {
	tb.Helper()
	return start(tb, NewSentinels)
}

// NewSentinels starts Sentinels that replace a primary after a second without it. The
// caller must Close them.
func NewSentinels(ctx context.Context) (_ *Sentinels, err error) {
	s := &Sentinels{}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.Primary, err = New(ctx, "appendonly yes", "appendfsync no", "repl-diskless-sync-delay 0"); err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(s.Primary.Addr)
	if s.Replica, err = New(ctx, "appendonly yes", "appendfsync no", "repl-diskless-sync-delay 0", "replicaof "+host+" "+port); err != nil {
		return nil, err
	}
	for i := range s.Watchers {
		s.Watchers[i], err = servers.NewRedis(ctx, servers.RedisOptions{Sentinel: true, Config: []string{
			fmt.Sprintf("sentinel monitor %s %s %s 2", MasterSet, host, port),
			"sentinel down-after-milliseconds " + MasterSet + " 1000",
			"sentinel failover-timeout " + MasterSet + " 2000",
		}})
		if err != nil {
			return nil, err
		}
	}
	if err := waitFor(ctx, "the replica to be in step", func() bool {
		info, err := s.Primary.Do(ctx, "INFO", "replication")
		return err == nil && strings.Contains(info, "state=online")
	}); err != nil {
		return nil, err
	}
	return s, waitFor(ctx, "the Sentinels to know each other", func() bool {
		for _, w := range s.Watchers {
			info, err := w.Do(ctx, "INFO", "sentinel")
			if err != nil || !strings.Contains(info, "slaves=1,sentinels=3") {
				return false
			}
		}
		return true
	})
}

// URL returns the address in the form of redis_url.
func (s *Sentinels) URL() string {
	return fmt.Sprintf("redis://%s?addr=%s&addr=%s&master_set=%s", s.Watchers[0].Addr, s.Watchers[1].Addr, s.Watchers[2].Addr, MasterSet)
}

// Close ends all servers.
func (s *Sentinels) Close() {
	for _, one := range append(s.Watchers[:], s.Primary, s.Replica) {
		if one != nil {
			one.Close()
		}
	}
}

// Cluster is a Redis Cluster of three primaries.
type Cluster struct{ Nodes [3]*Server }

// StartCluster starts a Cluster that ends with the test.
func StartCluster(tb testing.TB) *Cluster {
	tb.Helper()
	return start(tb, NewCluster)
}

// NewCluster starts a Cluster. The caller must Close it.
func NewCluster(ctx context.Context) (_ *Cluster, err error) {
	c := &Cluster{}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	slots := [3][2]string{{"0", "5460"}, {"5461", "10922"}, {"10923", "16383"}}
	for i := range c.Nodes {
		if c.Nodes[i], err = New(ctx, "cluster-enabled yes", "appendonly yes", "appendfsync no", "cluster-node-timeout 2000"); err != nil {
			return nil, err
		}
		if _, err = c.Nodes[i].Do(ctx, "CLUSTER", "ADDSLOTSRANGE", slots[i][0], slots[i][1]); err != nil {
			return nil, err
		}
	}
	for _, n := range c.Nodes[1:] {
		host, port, _ := net.SplitHostPort(n.Addr)
		bus, err := n.Do(ctx, "CONFIG", "GET", "cluster-port")
		if err != nil {
			return nil, err
		}
		if _, err := c.Nodes[0].Do(ctx, "CLUSTER", "MEET", host, port, strings.TrimPrefix(bus, "cluster-port\n")); err != nil {
			return nil, err
		}
	}
	return c, waitFor(ctx, "the Cluster to agree", func() bool {
		for _, n := range c.Nodes {
			info, err := n.Do(ctx, "CLUSTER", "INFO")
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return false
			}
		}
		return true
	})
}

// URL returns the address in the form of redis_url.
func (c *Cluster) URL() string {
	return fmt.Sprintf("redis://%s?addr=%s&addr=%s", c.Nodes[0].Addr, c.Nodes[1].Addr, c.Nodes[2].Addr)
}

// Close ends all servers.
func (c *Cluster) Close() {
	for _, n := range c.Nodes {
		if n != nil {
			n.Close()
		}
	}
}

// waitFor calls ask until it is true, for at most half a minute.
func waitFor(ctx context.Context, what string, ask func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("waited in vain for "+what))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ask() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
