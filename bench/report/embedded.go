package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// figure matches a line of bench/figures: name, number, unit, details and aim.
var figure = regexp.MustCompile(`(?m)^\r?\s*([a-z].{39,}?)\s+([\d.]+) ([^\s,]+)(.*?)\s+aim: `)

var p99 = regexp.MustCompile(`p99 ([\d.]+) ms`)

// embedded measures one process with the embedded engines.
func embedded(ctx context.Context, r *run) (*section, error) {
	out, err := r.output(ctx, nil, "go", "run", "./bench/figures", "-messages", strconv.Itoa(r.size(60_000, 2_000)), "-conversations", strconv.Itoa(r.size(10_000, 500)))
	if err != nil {
		return nil, err
	}
	s := &section{}
	aims := []struct {
		what string
		aim  aim
	}{
		{"start to ready", atMost(300, "ms")},
		{"idle memory", atMost(60, "MB")},
		{"webhook", atLeast(6_000, "requests/s")},
		{"turns", atLeast(8_000, "messages/s")},
	}
	for _, m := range figure.FindAllStringSubmatch(out, -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			continue
		}
		x := row{What: strings.TrimSpace(m[1]), Value: v, Unit: m[3], Detail: strings.Trim(m[4], " ,")}
		for _, a := range aims {
			if strings.HasPrefix(x.What, a.what) {
				x.Aim, x.Met = a.aim.text, a.aim.met(v)
			}
		}
		s.add(x)
		if p := p99.FindStringSubmatch(m[4]); p != nil && strings.HasPrefix(x.What, "webhook") {
			v, err := strconv.ParseFloat(p[1], 64)
			if err != nil {
				continue
			}
			a := atMost(20, "ms")
			s.add(row{What: "webhook, p99 with 32 connections", Value: v, Unit: "ms", Aim: a.text, Met: a.met(v)})
		}
	}
	if len(s.Rows) == 0 {
		return nil, fmt.Errorf("no figures in the output of bench/figures:\n%s", out)
	}
	s.note("The webhook answers after the message is synced to the disk. Turns and sends are measured one after the other, from a backlog.")
	return s, nil
}
