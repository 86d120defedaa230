package redisqueue

import (
	"slices"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/queue"
)

// TestFirstSchemaIsRead: a queue of schema 1, whose lists hold whole entries, goes on
// beside newly added jobs.
func TestFirstSchemaIsRead(t *testing.T) {
	t.Parallel()
	s := must(shared.single())(t)
	e := open(t, Options{URL: s.URL(), Prefix: t.Name()})
	enqueue(t, e, job("a", 1), job("a", 2), job("b", 1), job("c", 1))
	const back = `for i, lane in ipairs(ARGV) do
		for k, head in ipairs(redis.call('LRANGE', KEYS[3] .. lane, 0, -1)) do
			if #head == 6 then redis.call('LSET', KEYS[3] .. lane, k - 1, head .. redis.call('HGET', KEYS[2], head)) end
		end
	end
	redis.call('DEL', KEYS[2])
	redis.call('HSET', KEYS[1], 'v', 1)`
	q := e.state("q")
	if _, err := s.Do(t.Context(), "EVAL", back, "3", q.keys[0], q.keys[6], q.base+":l:", "a", "b", "c"); err != nil && !strings.Contains(err.Error(), "nil") {
		t.Fatal(err)
	}
	claims := exchange(t, e, 10).Claims
	enqueue(t, e, job("b", 3), job("d", 1))
	if v, err := s.Do(t.Context(), "HGET", q.keys[0], "v"); err != nil || v != "2" {
		t.Errorf("schema %q, %v once it is written to", v, err)
	}
	out := done(claims...)
	out[0].Verdict = queue.Dead
	more := exchange(t, e, 10, out...).Claims
	more = append(more, exchange(t, e, 10, done(more...)...).Claims...)
	var got []string
	for _, c := range slices.Concat(claims, more) {
		got = append(got, c.ID)
		if want := job(c.Lane, int(c.ID[len(c.ID)-1]-'0')).Body; string(c.Body) != string(want) {
			t.Errorf("%s: body of %d bytes, want %d", c.ID, len(c.Body), len(want))
		}
	}
	slices.Sort(got)
	if want := []string{"a/1", "a/2", "b/1", "b/3", "c/1", "d/1"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	letters, err := e.Dead(t.Context(), "q", 0, 10)
	if err != nil || len(letters) != 1 || letters[0].Job.ID != claims[0].ID {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
	check(t, e)
}

// TestLostBody: a job whose body was lost does not block those behind it, and Check reports
// it.
func TestLostBody(t *testing.T) {
	t.Parallel()
	s := must(shared.single())(t)
	e := open(t, Options{URL: s.URL(), Prefix: t.Name()})
	enqueue(t, e, job("a", 1), job("a", 2), job("b", 1))
	if _, err := s.Do(t.Context(), "DEL", e.state("q").keys[6]); err != nil {
		t.Fatal(err)
	}
	if wrong, err := e.Check(t.Context()); err != nil || len(wrong) != 2 || !strings.Contains(wrong[0], "no body") {
		t.Errorf("check: %q, %v", wrong, err)
	}
	claims := exchange(t, e, 10).Claims
	claims = append(claims, exchange(t, e, 10).Claims...)
	if len(claims) != 1 || claims[0].ID != "a/2" {
		t.Errorf("got %+v", claims)
	}
	if b := exchange(t, e, 1, done(claims...)...); len(b.Claims)+len(b.Refused) != 0 {
		t.Errorf("then %+v", b)
	}
	if s := stats(t, e); s.Depth != 0 || s.Done != 1 {
		t.Errorf("got %+v", s)
	}
}

// TestBodiesGoWithTheirJobs: a done job leaves nothing behind.
func TestBodiesGoWithTheirJobs(t *testing.T) {
	t.Parallel()
	s := must(shared.single())(t)
	e := open(t, Options{URL: s.URL(), Prefix: t.Name()})
	enqueue(t, e, job("a", 1), job("a", 3), job("b", 1))
	claims := exchange(t, e, 10).Claims
	if n, err := s.Do(t.Context(), "HLEN", e.state("q").keys[6]); err != nil || n != "3" {
		t.Errorf("%s bodies of 3 jobs, %v", n, err)
	}
	claims = exchange(t, e, 10, done(claims...)...).Claims
	exchange(t, e, 10, done(claims...)...)
	if n, err := s.Do(t.Context(), "EXISTS", e.state("q").keys[6]); err != nil || n != "0" {
		t.Errorf("bodies are left: %s, %v", n, err)
	}
	check(t, e)
}
