package redisqueue

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// About is what a server says of itself.
type About struct {
	Addr     string
	Version  string
	AOF      bool
	Policy   string // what it does when its memory is full
	Used     int64  // bytes
	Max      int64  // bytes, 0 for no bound
	Replicas int
	Ahead    time.Duration // its clock, compared with ours
}

// About asks a primary. It changes nothing.
func (e *Engine) About(ctx context.Context) (About, error) {
	l, err := e.connect(ctx)
	if err != nil {
		return About{}, e.fail(ctx, "about", err)
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	for addr, node := range l.enqueue.Nodes() {
		text, err := node.Do(ctx, node.B().Info().Build()).ToString()
		if err != nil {
			return About{}, e.fail(ctx, "about", err)
		}
		info := parseInfo(text)
		if info["role"] != "master" {
			continue
		}
		a := About{Addr: addr, Version: info["redis_version"], AOF: info["aof_enabled"] == "1", Policy: info["maxmemory_policy"]}
		a.Used, a.Max, a.Replicas = integer(info["used_memory"]), integer(info["maxmemory"]), int(integer(info["connected_slaves"]))
		a.Ahead, err = ahead(ctx, node)
		return a, e.fail(ctx, "about", err)
	}
	return About{}, e.fail(ctx, "about", errors.New("no primary answers"))
}

// ahead takes the middle of the call for the moment that the server answered.
func ahead(ctx context.Context, node rueidis.Client) (time.Duration, error) {
	began := time.Now()
	parts, err := node.Do(ctx, node.B().Time().Build()).AsStrSlice()
	if err != nil || len(parts) != 2 {
		return 0, err
	}
	there := time.Unix(integer(parts[0]), integer(parts[1])*1000)
	return there.Sub(began.Add(time.Since(began) / 2)), nil
}

func integer(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
