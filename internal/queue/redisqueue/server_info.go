package redisqueue

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"
)

// ServerInfo is a server's information about itself.
type ServerInfo struct {
	Addr           string
	Version        string
	AOF            bool
	EvictionPolicy string // maxmemory-policy
	UsedMemory     int64  // bytes
	MaxMemory      int64  // bytes; 0 means no limit
	Replicas       int
	ClockAhead     time.Duration // of its clock over ours
}

// ServerInfo returns the information of a primary. It changes nothing.
func (e *Engine) ServerInfo(ctx context.Context) (ServerInfo, error) {
	l, err := e.connect(ctx)
	if err != nil {
		return ServerInfo{}, e.wrapError(ctx, "about", err)
	}
	ctx, cancel := e.withTimeout(ctx)
	defer cancel()
	for addr, node := range l.enqueue.Nodes() {
		text, err := node.Do(ctx, node.B().Info().Build()).ToString()
		if err != nil {
			return ServerInfo{}, e.wrapError(ctx, "about", err)
		}
		info := parseInfo(text)
		if info["role"] != "master" {
			continue
		}
		a := ServerInfo{Addr: addr, Version: info["redis_version"], AOF: info["aof_enabled"] == "1", EvictionPolicy: info["maxmemory_policy"]}
		a.UsedMemory, a.MaxMemory, a.Replicas = parseInt(info["used_memory"]), parseInt(info["maxmemory"]), int(parseInt(info["connected_slaves"]))
		a.ClockAhead, err = clockAhead(ctx, node)
		return a, e.wrapError(ctx, "about", err)
	}
	return ServerInfo{}, e.wrapError(ctx, "about", errors.New("no primary answers"))
}

// clockAhead takes the middle of the call as the time of the server's answer.
func clockAhead(ctx context.Context, node rueidis.Client) (time.Duration, error) {
	began := time.Now()
	parts, err := node.Do(ctx, node.B().Time().Build()).AsStrSlice()
	if err != nil || len(parts) != 2 {
		return 0, err
	}
	there := time.Unix(parseInt(parts[0]), parseInt(parts[1])*1000)
	return there.Sub(began.Add(time.Since(began) / 2)), nil
}
