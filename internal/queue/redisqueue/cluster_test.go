package redisqueue

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// onNode returns a queue whose keys are on the given node.
func onNode(t *testing.T, c *redistest.Cluster, e *Engine, node int) string {
	t.Helper()
	for i := range 1000 {
		name := fmt.Sprint("queue", i)
		text, err := c.Nodes[0].Do(t.Context(), "CLUSTER", "KEYSLOT", e.state(name).keys[0])
		if err != nil {
			t.Fatal(err)
		}
		if slot, err := strconv.Atoi(text); err == nil && slot*3/16384 == node {
			return name
		}
	}
	t.Fatal("no queue lies there")
	return ""
}

// TestClusterWaitsForTheReplicaOfTheQueue: a queue whose node has a replica accepts, one
// whose node has none refuses.
func TestClusterWaitsForTheReplicaOfTheQueue(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	r := redistest.Start(t, "cluster-enabled yes", "cluster-node-timeout 2000")
	host, port, _ := net.SplitHostPort(c.Nodes[0].Addr)
	bus, err := c.Nodes[0].Do(t.Context(), "CONFIG", "GET", "cluster-port")
	if err != nil {
		t.Fatal(err)
	}
	id, err := c.Nodes[0].Do(t.Context(), "CLUSTER", "MYID")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Do(t.Context(), "CLUSTER", "MEET", host, port, strings.TrimPrefix(bus, "cluster-port\n")); err != nil {
		t.Fatal(err)
	}
	settles(t, "replicate", func() error {
		if _, err := r.Do(t.Context(), "CLUSTER", "REPLICATE", id); err != nil {
			return queue.ErrUnavailable // the replica does not know its primary yet
		}
		return nil
	})
	e := open(t, Options{URL: c.URL(), Durability: "replica", Timeout: 500 * time.Millisecond})
	with, without := onNode(t, c, e, 0), onNode(t, c, e, 2)
	settles(t, "enqueue", func() error {
		_, err := e.Enqueue(t.Context(), []queue.Job{{Queue: with, Lane: "a", ID: "1"}})
		return err
	})
	if _, err := e.Enqueue(t.Context(), []queue.Job{{Queue: without, Lane: "a", ID: "1"}}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	check(t, e)
}

// TestClusterWithoutANode: calls fail while the node is down, and succeed once it is back.
func TestClusterWithoutANode(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	e := open(t, Options{URL: c.URL(), Timeout: time.Second})
	for node := range c.Nodes {
		name := onNode(t, c, e, node)
		if _, err := e.Enqueue(t.Context(), []queue.Job{{Queue: name, Lane: "a", ID: "1"}}); err != nil {
			t.Fatal(err)
		}
	}
	name := onNode(t, c, e, 1)
	c.Nodes[1].Kill()
	if _, err := e.Enqueue(t.Context(), []queue.Job{{Queue: name, Lane: "a", ID: "2"}}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("enqueue: %v", err)
	}
	if _, err := e.Exchange(t.Context(), name, nil, 1, time.Minute); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("exchange: %v", err)
	}
	if err := c.Nodes[1].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	settles(t, "enqueue", func() error {
		_, err := e.Enqueue(t.Context(), []queue.Job{{Queue: name, Lane: "a", ID: "2"}})
		return err
	})
	settles(t, "exchange", func() error {
		b, err := e.Exchange(t.Context(), name, nil, 1, time.Minute)
		if err == nil && len(b.Claims) != 1 {
			t.Errorf("got %+v", b)
		}
		return err
	})
}

// TestMovingSlot: while a queue's slot is moved calls fail with known errors, and nothing
// is lost or done twice.
func TestMovingSlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	e := open(t, Options{URL: c.URL(), Timeout: 2 * time.Second})
	name := onNode(t, c, e, 0)
	add := func(n int) error {
		_, err := e.Enqueue(t.Context(), []queue.Job{{Queue: name, Lane: fmt.Sprint("lane", n%3), ID: fmt.Sprint(n)}})
		return err
	}
	for n := range 9 {
		if err := add(n); err != nil {
			t.Fatal(err)
		}
	}
	do := func(node int, args ...string) string {
		t.Helper()
		answer, err := c.Nodes[node].Do(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	ids := []string{do(0, "CLUSTER", "MYID"), do(1, "CLUSTER", "MYID")}
	slot := do(0, "CLUSTER", "KEYSLOT", e.state(name).keys[0])
	do(1, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
	do(0, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
	host, port, _ := net.SplitHostPort(c.Nodes[1].Addr)
	failed := 0
	for i, key := range strings.Split(do(0, "CLUSTER", "GETKEYSINSLOT", slot, "1000"), "\n") {
		do(0, "MIGRATE", host, port, key, "0", "5000")
		if err := add(100 + i); err != nil {
			if failed++; !errors.Is(err, queue.ErrUnavailable) {
				t.Errorf("while it moves: %v", err)
			}
		}
	}
	t.Logf("%d calls failed while it moved", failed)
	for node := range 2 {
		do(1-node, "CLUSTER", "SETSLOT", slot, "NODE", ids[1])
	}
	settles(t, "enqueue", func() error { return add(9) })
	ran := map[string]int{}
	var out []queue.Outcome
	for {
		b, err := e.Exchange(t.Context(), name, out, 5, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Claims) == 0 {
			break
		}
		for _, cl := range b.Claims {
			ran[cl.ID]++
		}
		out = done(b.Claims...)
	}
	for n := range 10 {
		if ran[fmt.Sprint(n)] != 1 {
			t.Errorf("job %d ran %d times", n, ran[fmt.Sprint(n)])
		}
	}
	check(t, e)
}
