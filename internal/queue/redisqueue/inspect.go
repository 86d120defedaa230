package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// inspect checks the settings of every primary: that it does not evict keys, and that it
// can keep the promised durability.
func (e *Engine) inspect(ctx context.Context, l *links) error {
	primaries := 0
	var problems []error
	for addr, node := range l.enqueue.Nodes() {
		text, err := node.Do(ctx, node.B().Info().Build()).ToString()
		if err != nil {
			return fmt.Errorf("%s: %w", addr, err)
		}
		info := parseInfo(text)
		if info["role"] != "master" {
			continue
		}
		primaries++
		if err := e.checkServer(ctx, l, addr, node, info); err != nil {
			problems = append(problems, err)
		}
	}
	if primaries == 0 {
		return errors.New("no primary answers")
	}
	return errors.Join(problems...)
}

// checkSchemas refuses queues written by a newer program.
func (e *Engine) checkSchemas(ctx context.Context, l *links) error {
	states, err := e.allStates(ctx, l)
	if err != nil {
		return err
	}
	c := l.exchange
	for _, q := range states {
		v, err := c.Do(ctx, c.B().Hget().Key(q.keys[0]).Field("v").Build()).AsInt64()
		if err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
		if v > schemaVersion {
			return fmt.Errorf("%w: queue %s has schema %d, this program knows %d: start the newer program again", ErrSetup, q.name, v, schemaVersion)
		}
	}
	return nil
}

func (e *Engine) checkServer(ctx context.Context, l *links, addr string, node rueidis.Client, info map[string]string) error {
	if !atLeast(info["redis_version"], 7, 0) {
		return fmt.Errorf("%w: %s is Redis %s, this needs 7.0 or newer", ErrSetup, addr, info["redis_version"])
	}
	if policy := info["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		return fmt.Errorf("%w: %s throws data away when its memory is full (maxmemory-policy %s). %s",
			ErrSetup, addr, policy, fixCommands(addr, "maxmemory-policy noeviction"))
	}
	switch e.opts.Durability {
	case "replica":
		return e.checkReplica(ctx, addr, node, info)
	case "fsync":
		l.waitAOF = atLeast(info["redis_version"], 7, 2)
		return checkFsync(ctx, addr, node, info, l.waitAOF)
	}
	return nil
}

// checkReplica requires a file behind the replica's copy, written before each answer. A
// primary that restarts before its fall is noticed, or a replica that is promoted before it
// has caught up, has only what its file has, and the replicas copy that. With appendfsync
// everysec a write waits in memory for up to two seconds while a sync is under way; with
// "no" it is with the operating system, which survives the death of the process.
// https://redis.io/docs/latest/operate/oss_and_stack/management/replication/
// https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/latency/
func (e *Engine) checkReplica(ctx context.Context, addr string, node rueidis.Client, info map[string]string) error {
	const other = "and the same on its replicas. Or set durability: relaxed, and accept what that loses"
	if info["aof_enabled"] != "1" {
		return fmt.Errorf("%w: %s has no file on disk: after a restart it is empty, and its replicas copy that (appendonly no). %s, %s",
			ErrSetup, addr, fixCommands(addr, "appendonly yes", "appendfsync no"), other)
	}
	switch how, err := appendfsync(ctx, node); {
	case errors.Is(err, errNotTold):
		e.opts.Log.Warn("redis does not reveal its appendfsync: with everysec, a primary that is killed and restarted at once loses up to two seconds of writes", "server", addr)
	case err != nil:
		return fmt.Errorf("%s: %w", addr, err)
	case how == "everysec":
		return fmt.Errorf("%w: %s answers up to two seconds before a write is in its file: killed and restarted at once it lacks those writes, and its replicas copy that (appendfsync everysec). %s, %s",
			ErrSetup, addr, fixCommands(addr, "appendfsync no"), other)
	}
	if info["connected_slaves"] == "0" {
		e.opts.Log.Warn("redis has no replica: nothing is accepted until it has one", "server", addr)
	}
	return nil
}

func checkFsync(ctx context.Context, addr string, node rueidis.Client, info map[string]string, waitAOF bool) error {
	const other = "Or set durability: replica, or relaxed, and accept what that loses."
	if info["aof_enabled"] != "1" {
		return fmt.Errorf("%w: %s has no file on disk (appendonly no). %s. %s",
			ErrSetup, addr, fixCommands(addr, "appendonly yes", "appendfsync always"), other)
	}
	if waitAOF { // each batch is followed by WAITAOF
		return nil
	}
	how, err := appendfsync(ctx, node)
	if errors.Is(err, errNotTold) {
		return fmt.Errorf("%w: %s does not say whether it syncs each write (CONFIG GET appendfsync: %w), and has no WAITAOF (Redis 7.2). %s",
			ErrSetup, addr, err, other)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	if how != "always" {
		return fmt.Errorf("%w: %s answers before a write is on disk (appendfsync %s). %s. %s",
			ErrSetup, addr, how, fixCommands(addr, "appendfsync always"), other)
	}
	return nil
}

// errNotTold means that the server refuses CONFIG.
var errNotTold = errors.New("refused")

// appendfsync returns the server's appendfsync setting: always, everysec or no.
func appendfsync(ctx context.Context, node rueidis.Client) (string, error) {
	got, err := node.Do(ctx, node.B().ConfigGet().Parameter("appendfsync").Build()).AsStrMap()
	if refusal, refused := rueidis.IsRedisErr(err); refused {
		return "", fmt.Errorf("%w: %w", errNotTold, refusal)
	}
	return got["appendfsync"], err
}

// fixCommands returns the commands that change the settings.
func fixCommands(addr string, settings ...string) string {
	host, port, found := strings.Cut(addr, ":")
	at := ""
	if found {
		at = " -h " + host + " -p " + port
	}
	var commands []string
	for _, s := range settings {
		commands = append(commands, "redis-cli"+at+" CONFIG SET "+s)
	}
	commands = append(commands, "redis-cli"+at+" CONFIG REWRITE")
	return fmt.Sprintf("Run: %s (or write in redis.conf: %s)", strings.Join(commands, " && "), strings.Join(settings, "; "))
}

func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[k] = v
		}
	}
	return info
}

func atLeast(version string, major, minor int) bool {
	a, rest, _ := strings.Cut(version, ".")
	b, _, _ := strings.Cut(rest, ".")
	x, err1 := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	return err1 == nil && err2 == nil && (x > major || x == major && y >= minor)
}
