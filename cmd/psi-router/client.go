package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/config"
)

const (
	dialTimeout = 2 * time.Second
	callTimeout = 60 * time.Second
	maxAnswer   = 64 << 20
	apiPrefix   = api.Prefix
)

// client calls the API of the router at --url, else of the router that runs in data_dir, else
// of the files in data_dir.
type client struct {
	http  *http.Client
	base  string
	key   string
	close func() error
	live  bool // a router answers, not the files
	// cfg is the configuration, without the parts that could not be read.
	cfg *config.Config
	// forTerminal makes every text of an answer safe for a terminal.
	forTerminal bool
}

// client connects to a router, or opens its files. The caller closes it.
func (e *env) client() (*client, error) {
	cfg, err := e.localConfig()
	if err != nil {
		return nil, err
	}
	c := &client{cfg: cfg, key: e.Key, forTerminal: !e.JSON, live: true, close: func() error { return nil }}
	if e.URL != "" {
		if _, err := e.parseURL(); err != nil {
			return nil, err
		}
		c.base = strings.TrimSuffix(strings.TrimRight(e.URL, "/"), apiPrefix)
		c.http = &http.Client{Timeout: callTimeout}
		return c, nil
	}
	socket, release, err := app.SocketPath(cfg.DataDir, app.SocketName)
	if err != nil {
		return nil, unreachable("%w", err)
	}
	c.base = "http://router"
	c.close = func() error { release(); return nil }
	if c.http, err = dialSocket(e.ctx, socket, callTimeout); err == nil {
		return c, nil
	}
	release()
	if errors.Is(err, os.ErrPermission) {
		return nil, unreachable("%s belongs to another user: run this as the user that runs the router, or use --url and --key", filepath.Join(cfg.DataDir, app.SocketName))
	}
	if _, err := e.engineConfig(); err != nil {
		return nil, err
	}
	return c, c.offline(e)
}

// parseURL is --url.
func (e *env) parseURL() (*url.URL, error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("--url %q is not an http(s) address: write one such as http://127.0.0.1:3002", e.URL)
	}
	return u, nil
}

// dialSocket returns a client of the router that listens on the socket.
func dialSocket(ctx context.Context, socket string, timeout time.Duration) (*http.Client, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", socket)
	}
	conn, err := dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	conn.Close()
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: dial}}, nil
}

// offline opens the engines, because no router runs here.
func (c *client) offline(e *env) error {
	file, what := "", "redis_url and database_url"
	switch {
	case c.cfg.DatabaseURL.Empty():
		file, what = "store.db", "its files"
	case c.cfg.RedisURL.Empty():
		file, what = "queue.db", "its queue, or database_url,"
	}
	if _, err := os.Stat(filepath.Join(c.cfg.DataDir, file)); file != "" && err != nil {
		return unreachable("no router runs in data_dir %s, and there are no files of a router: start one with `psi-router serve`, name its configuration with --config, or use --url and --key", c.cfg.DataDir)
	}
	handler, closeFiles, err := app.Offline(e.ctx, c.cfg)
	if err != nil {
		return unreachable("no router answers in data_dir %s, and %s cannot be opened: %w", c.cfg.DataDir, what, e.redacted(err))
	}
	c.base, c.close, c.live = "http://files", closeFiles, false
	c.http = &http.Client{Transport: handlerTransport{handler}}
	return nil
}

// handlerTransport calls a handler without a network.
type handlerTransport struct{ handler http.Handler }

func (d handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &responseRecorder{header: http.Header{}}
	d.handler.ServeHTTP(w, r)
	code := cmp.Or(w.code, http.StatusOK)
	return &http.Response{
		Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.Buffer), ContentLength: int64(w.Len()), Request: r,
	}, nil
}

type responseRecorder struct {
	bytes.Buffer
	header http.Header
	code   int // 0 until a handler sets it
}

func (w *responseRecorder) Header() http.Header { return w.header }

func (w *responseRecorder) WriteHeader(code int) {
	if w.code == 0 && w.Len() == 0 {
		w.code = code
	}
}

// refusal is a problem that the API answered.
type refusal struct{ api.Problem }

func (r *refusal) Error() string {
	text := r.Detail
	if text == "" {
		text = r.Title
	}
	for _, e := range r.Errors {
		text += "\n  " + e.Location + ": " + e.Message
	}
	return text
}

// exitCode returns the exit code of a command that was refused.
func (r *refusal) exitCode() int {
	switch r.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusBadRequest:
		return exitUsage
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return exitUnreachable
	default:
		return exitProblem
	}
}

func notFound(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.Status == http.StatusNotFound
}

func (c *client) get(ctx context.Context, path string, into any) error {
	return c.call(ctx, http.MethodGet, path, nil, into)
}

func (c *client) post(ctx context.Context, path string, body, into any) error {
	return c.call(ctx, http.MethodPost, path, body, into)
}

// printAnswer prints an answer as it came.
func (c *client) printAnswer(e *env, path string) error {
	var raw json.RawMessage
	if err := c.get(e.ctx, path, &raw); err != nil {
		return err
	}
	return e.printJSON(raw)
}

// call sends one request below /api/v1. into may be nil, or a *json.RawMessage for the
// answer as it came.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	var send io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		send = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+apiPrefix+path, send)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return unreachable("the router does not answer: %w. Is it running, and is the address right?", err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return unreachable("the router stopped in the middle of its answer: %w", err)
	}
	if res.StatusCode >= 400 {
		r := &refusal{api.Problem{Title: res.Status}}
		if json.Unmarshal(raw, r) != nil || r.Code == "" {
			return unreachable("the server at %s is not a PSI Router (%s): check --url", c.base, res.Status)
		}
		r.Status = res.StatusCode
		sanitizeStrings(reflect.ValueOf(r))
		return &failure{r.exitCode(), r}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return unreachable("the server at %s is not a PSI Router: check --url", c.base)
	}
	if c.forTerminal {
		sanitizeStrings(reflect.ValueOf(into))
	}
	return nil
}

func (e *env) withClient(do func(c *client) error) (err error) {
	c, err := e.client()
	if err != nil {
		return err
	}
	defer func() {
		if closing := c.close(); closing != nil && err == nil {
			err = fmt.Errorf("close: %w", closing)
		}
	}()
	return do(c)
}

// pageSize is the API's largest page.
const pageSize = 200

// collect reads a list of the API page by page. It returns the items that keep accepts, at
// most limit (0: all), and whether there are more.
func collect[T any](e *env, c *client, path string, query url.Values, limit int, keep func(T) bool) (all []T, more bool, err error) {
	all = []T{} // [] and not null
	for more = true; more && (limit == 0 || len(all) < limit); {
		size := pageSize
		if limit > 0 {
			size = min(size, limit-len(all))
		}
		query.Set("limit", strconv.Itoa(size))
		var page struct {
			Items      []T     `json:"items"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := c.get(e.ctx, path+"?"+query.Encode(), &page); err != nil {
			return nil, false, err
		}
		for _, item := range page.Items {
			if keep(item) {
				all = append(all, item)
			}
		}
		if more = page.NextCursor != nil && *page.NextCursor != ""; more {
			query.Set("cursor", *page.NextCursor)
		}
	}
	return all, more, nil
}
