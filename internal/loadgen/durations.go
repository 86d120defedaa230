package loadgen

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Durations counts durations of any length in buckets that are 3 % wide. It is safe for
// concurrent use.
type Durations struct {
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

// Add counts one duration.
func (d *Durations) Add(one time.Duration) { d.addMany(one, 1) }

// AddCurve adds the counts of a curve.
func (d *Durations) AddCurve(curve []Bucket) {
	for _, b := range curve {
		d.addMany(b.Until, b.Count)
	}
}

func (d *Durations) addMany(one time.Duration, n int64) {
	one = max(one, 0)
	d.buckets[bucket(uint64(one))].Add(n)
	for {
		most := d.max.Load()
		if int64(one) <= most || d.max.CompareAndSwap(most, int64(one)) {
			return
		}
	}
}

func (d *Durations) counts() []int64 {
	counts := make([]int64, len(d.buckets))
	for i := range d.buckets {
		counts[i] = d.buckets[i].Load()
	}
	return counts
}

// Latency summarises the durations.
func (d *Durations) Latency() Latency { return summary(d.counts(), time.Duration(d.max.Load())) }

// Curve lists the buckets that are not empty, shortest first.
func (d *Durations) Curve() []Bucket { return curve(d.counts()) }

func curve(counts []int64) (all []Bucket) {
	for i, n := range counts {
		if n > 0 {
			all = append(all, Bucket{Until: upper(i), Count: n})
		}
	}
	return all
}

// since summarises the durations added since the counts in before, and updates before.
func (d *Durations) since(before *[]int64) (Latency, []Bucket) {
	now := d.counts()
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
	return summary(diff, min(most, time.Duration(d.max.Load()))), curve(diff)
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
