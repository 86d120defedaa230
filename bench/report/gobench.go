package main

import (
	"bufio"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// result is a line of the output of go test -bench.
type result struct {
	name    string // without "Benchmark" and the number of processors
	metrics map[string]float64
}

// gobench runs benchmarks of one package.
func (r *run) gobench(ctx context.Context, pkg, pattern, times string, env ...string) ([]result, error) {
	out, err := r.output(ctx, env, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", times, "-timeout", "60m", pkg)
	if err != nil {
		return nil, err
	}
	all := parseBench(out)
	if len(all) == 0 {
		return nil, fmt.Errorf("no benchmark of %s ran; a server may be missing", pkg)
	}
	return all, nil
}

var processors = regexp.MustCompile(`-\d+$`)

func parseBench(out string) (all []result) {
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		res := result{name: processors.ReplaceAllString(strings.TrimPrefix(f[0], "Benchmark"), ""), metrics: map[string]float64{}}
		for i := 2; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				break
			}
			res.metrics[f[i+1]] = v
		}
		all = append(all, res)
	}
	return all
}

func find(all []result, name string) result {
	for _, r := range all {
		if r.name == name {
			return r
		}
	}
	return result{}
}
