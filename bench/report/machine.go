package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// machine describes where, and with which versions, a section was measured.
type machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Memory     string `json:"memory"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	Redis      string `json:"redis,omitempty"`
	PostgreSQL string `json:"postgresql,omitempty"`
	PgBouncer  string `json:"pgbouncer,omitempty"`
	Node       string `json:"node,omitempty"`
	Commit     string `json:"commit,omitempty"`
}

// String describes the machine in one sentence.
func (m machine) String() string {
	s := fmt.Sprintf("%s, %d cores, %s of memory, Linux %s; commit %s, %s", m.CPU, m.Cores, m.Memory, m.Kernel, m.Commit, strings.Replace(m.Go, "go", "Go ", 1))
	for _, p := range [][2]string{{"Redis", m.Redis}, {"PostgreSQL", m.PostgreSQL}, {"PgBouncer", m.PgBouncer}, {"Node", m.Node}} {
		if p[1] != "" {
			s += ", " + p[0] + " " + p[1]
		}
	}
	return s
}

func describe(ctx context.Context) machine {
	return machine{
		CPU:    fileMatch("/proc/cpuinfo", `model name\s*:\s*(.*\S)`),
		Cores:  runtime.NumCPU(),
		Memory: memory(),
		Kernel: commandMatch(ctx, `(.*\S)`, "uname", "-r"),
		Go:     runtime.Version(),
		Redis:  commandMatch(ctx, `v=(\S+)`, "redis-server", "--version"),
		// Debian does not put it in PATH.
		PostgreSQL: commandMatch(ctx, `(\d+\.\d+)`, newest("/usr/lib/postgresql/*/bin/postgres", "postgres"), "--version"),
		PgBouncer:  commandMatch(ctx, `PgBouncer (\S+)`, newest("/usr/sbin/pgbouncer", "pgbouncer"), "--version"),
		Node:       commandMatch(ctx, `v(\S+)`, "node", "--version"),
		Commit:     commandMatch(ctx, `(\S+)`, "git", "describe", "--always", "--dirty"),
	}
}

func memory() string {
	var kb float64
	if _, err := fmt.Sscan(fileMatch("/proc/meminfo", `MemTotal:\s*(\d+)`), &kb); err != nil {
		return ""
	}
	return fmt.Sprintf("%.0f GiB", kb/(1<<20))
}

// commandMatch returns the match in the output of a program, "" if it is not installed.
func commandMatch(ctx context.Context, pattern, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return ""
	}
	return firstMatch(pattern, string(out))
}

func fileMatch(path, pattern string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return firstMatch(pattern, string(text))
}

func firstMatch(pattern, text string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

func newest(glob, otherwise string) string {
	found, err := filepath.Glob(glob)
	if err != nil || len(found) == 0 {
		return otherwise
	}
	return slices.Max(found)
}
