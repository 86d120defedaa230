package loadgen

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets that are 3 % wide, from a nanosecond to
// for ever, and takes counts from everybody at once.
type histogram struct {
	buckets [59*32 + 64]atomic.Int64
	max     atomic.Int64
}

func bucket(ns uint64) int {
	if ns < 64 {
		return int(ns)
	}
	shift := bits.Len64(ns) - 6
	return shift*32 + int(ns>>shift)
}

// upper is the largest duration in a bucket.
func upper(i int) time.Duration {
	if i < 64 {
		return time.Duration(i)
	}
	shift := i/32 - 1
	return time.Duration(uint64(i-shift*32+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) { h.addMany(d, 1) }

func (h *histogram) addMany(d time.Duration, n int64) {
	d = max(d, 0)
	h.buckets[bucket(uint64(d))].Add(n)
	for {
		most := h.max.Load()
		if int64(d) <= most || h.max.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

func (h *histogram) counts() []int64 {
	counts := make([]int64, len(h.buckets))
	for i := range h.buckets {
		counts[i] = h.buckets[i].Load()
	}
	return counts
}

func (h *histogram) summary() Latency { return summary(h.counts(), time.Duration(h.max.Load())) }

func (h *histogram) curve() []Bucket { return curve(h.counts()) }

// curve lists the buckets that hold something.
func curve(counts []int64) (all []Bucket) {
	for i, n := range counts {
		if n > 0 {
			all = append(all, Bucket{Until: upper(i), Count: n})
		}
	}
	return all
}

// since is what was added after the counts before, which become those of now.
func (h *histogram) since(before *[]int64) (Latency, []Bucket) {
	now := h.counts()
	diff := make([]int64, len(now))
	most := time.Duration(0)
	for i, n := range now {
		if diff[i] = n; *before != nil {
			diff[i] -= (*before)[i]
		}
		if diff[i] > 0 {
			most = upper(i)
		}
	}
	*before = now
	return summary(diff, min(most, time.Duration(h.max.Load()))), curve(diff)
}

func summary(counts []int64, most time.Duration) Latency {
	total := int64(0)
	for _, n := range counts {
		total += n
	}
	l := Latency{Count: total, Max: most}
	for _, q := range []struct {
		part float64
		to   *time.Duration
	}{{0.5, &l.P50}, {0.9, &l.P90}, {0.99, &l.P99}, {0.999, &l.P999}} {
		rank, sum := int64(q.part*float64(total)), int64(0)
		for i, n := range counts {
			if sum += n; n > 0 && sum > rank || sum == total && n > 0 {
				*q.to = min(upper(i), l.Max)
				break
			}
		}
	}
	return l
}

// Durations gathers durations of any origin as a run's are.
type Durations struct{ h histogram }

// Add counts one.
func (d *Durations) Add(one time.Duration) { d.h.add(one) }

// AddCurve counts what a curve lists.
func (d *Durations) AddCurve(curve []Bucket) {
	for _, b := range curve {
		d.h.addMany(b.Until, b.Count)
	}
}

// Latency sums up what was added.
func (d *Durations) Latency() Latency { return d.h.summary() }

// Curve lists what was added, in buckets of 3 %, shortest first.
func (d *Durations) Curve() []Bucket { return d.h.curve() }
