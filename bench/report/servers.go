package main

import (
	"context"
	"strings"
)

// flat measures the time and memory that a backlog costs.
func flat(ctx context.Context, r *run) (*section, error) {
	pattern := "^BenchmarkBacklog$"
	if r.small {
		pattern += "/./waiting=1000$"
	}
	all, err := r.gobench(ctx, "./internal/queue/redisqueue", pattern, map[bool]string{false: "40x", true: "2x"}[r.small])
	if err != nil {
		return nil, err
	}
	s := &section{}
	for _, shape := range []struct{ key, name string }{{"one-lane", "in one lane"}, {"many-lanes", "in as many lanes"}} {
		few := find(all, "Backlog/"+shape.key+"/waiting=1000").metrics
		for _, size := range []struct{ key, name string }{{"1000", "1,000"}, {"1000000", "1,000,000"}} {
			m := find(all, "Backlog/"+shape.key+"/waiting="+size.key).metrics
			if m == nil || few == nil {
				continue
			}
			for _, op := range []struct{ metric, name string }{{"enqueue-us/job", "enqueue"}, {"claim-us/job", "claim and settle"}} {
				var a aim
				if size.key != "1000" {
					a = atMost(2*few[op.metric], "µs")
					a.text = "at most twice that at 1,000"
				}
				s.add(row{
					What: op.name + ", " + size.name + " waiting " + shape.name, Value: m[op.metric], Unit: "µs/job",
					Aim: a.text, Met: a.met(m[op.metric]), Detail: "Redis' own time, in batches of 50",
				})
			}
			s.add(row{What: "memory, " + size.name + " waiting " + shape.name, Value: m["B/waiting"], Unit: "bytes/message", Detail: "of Redis, beyond its payload of 100 bytes"})
			s.add(row{What: "all figures of all queues, " + size.name + " waiting " + shape.name, Value: m["stats-us"], Unit: "µs"})
		}
	}
	s.note("Memory holds the id (60 characters), its hash for the 24 hours of deduplication, the lane's name, its place in order, and Redis' own overhead. In a million lanes each lane adds a list and two entries of sorted sets.")
	return s, nil
}

// turns measures the store alone.
func turns(ctx context.Context, r *run) (*section, error) {
	all, err := r.gobench(ctx, "./internal/store/pgstore", "^BenchmarkTurn$", map[bool]string{false: "600x", true: "10x"}[r.small])
	if err != nil {
		return nil, err
	}
	s := &section{}
	for _, way := range []struct{ key, name string }{{"Turn/direct", "PostgreSQL directly"}, {"Turn/pooled", "through PgBouncer, transaction mode"}} {
		s.add(row{What: "turns, " + way.name, Value: find(all, way.key).metrics["messages/s"], Unit: "messages/s"})
	}
	s.note("Four turns at once, with batches of 100 messages from 10,000 people. Each message has its locks, decision, rows, reply and event; every commit is synced.")
	return s, nil
}

// engine measures the Redis engine alone.
func engine(ctx context.Context, r *run) (*section, error) {
	all, err := r.gobench(ctx, "./internal/queue/redisqueue", "^Benchmark(Enqueue|Exchange|Through)$", map[bool]string{false: "2s", true: "300x"}[r.small])
	if err != nil {
		return nil, err
	}
	s := &section{}
	for _, res := range all {
		s.add(row{
			What: strings.ReplaceAll(res.name, "/", ", "), Value: res.metrics["jobs/s"], Unit: "jobs/s",
			Detail: human(res.metrics["redis-us/job"]) + " µs of Redis' time each",
		})
	}
	s.note("fsync: appendfsync always, the answer comes after the sync. everysec: the durability `relaxed`. Exchange settles and claims. Through is the whole path of a job that does nothing, from callers that enqueue 50 at a time.")
	return s, nil
}
