package redisqueue

import (
	"context"
	"crypto/sha1" //nolint:gosec // how Redis names scripts
	"embed"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

//go:embed lua/*.lua
var lua embed.FS

// script is one Lua file in the form that Redis gets.
type script struct{ text, sha string }

// scripts are all scripts.
type scripts struct {
	enqueue, exchange, setting, nextDue, rewake, stats, deadList, deadTake, check, deadIDsReturn script
}

func loadScripts() (s scripts, err error) {
	read := func(name string) string {
		text, e := lua.ReadFile("lua/" + name + ".lua")
		if e != nil {
			err = e
		}
		return string(text)
	}
	common := read("common")
	for name, to := range map[string]*script{
		"enqueue": &s.enqueue, "exchange": &s.exchange, "setting": &s.setting, "next_due": &s.nextDue, "rewake": &s.rewake,
		"stats": &s.stats, "dead_list": &s.deadList, "dead_take": &s.deadTake, "check": &s.check, "dead_ids_return": &s.deadIDsReturn,
	} {
		text := read(name)
		if name != "dead_ids_return" {
			first, rest, _ := strings.Cut(text, "\n")
			text = first + "\n" + common + rest
		}
		*to = newScript(text)
	}
	return s, err
}

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // how Redis names scripts
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}

// doer is a client or one connection of it.
type doer interface {
	B() rueidis.Builder
	Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult
	DoMulti(ctx context.Context, multi ...rueidis.Completed) []rueidis.RedisResult
}

// eval runs a script by its SHA, and sends its text if the server does not know it (so it
// has not run). No other call is ever repeated.
func eval(ctx context.Context, c doer, s script, keys, args []string) rueidis.RedisResult {
	r := c.Do(ctx, byName(c, s, keys, args))
	if unknown(r) {
		r = c.Do(ctx, byText(c, s, keys, args))
	}
	return r
}

func byName(c doer, s script, keys, args []string) rueidis.Completed {
	return c.B().Evalsha().Sha1(s.sha).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
}

func byText(c doer, s script, keys, args []string) rueidis.Completed {
	return c.B().Eval().Script(s.text).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
}

func unknown(r rueidis.RedisResult) bool {
	e, ok := rueidis.IsRedisErr(r.Error())
	return ok && e.IsNoScript()
}

// run runs a script on a queue.
func (q *queueState) run(ctx context.Context, c doer, s script, args ...string) rueidis.RedisResult {
	return eval(ctx, c, s, q.keys, append(q.commonArgs(), args...))
}

// commonArgs are the first arguments of every script.
func (q *queueState) commonArgs() []string {
	return []string{q.base, q.e.clock.arg(), strconv.Itoa(schemaVersion)}
}
