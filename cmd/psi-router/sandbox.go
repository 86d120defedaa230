package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/psivisionhub/psi-router/internal/admission"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/hosts"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/sandbox"
)

type sandboxCmd struct {
	Run  sandboxRun  `cmd:"" default:"withargs" help:"Run the fake WhatsApp alone."`
	Send sandboxSend `cmd:"" help:"Restamp, sign and post a payload."`
}

func (sandboxCmd) Help() string {
	return `Alone, the fake WhatsApp listens on its own address; point graph_url of a router at it.

Examples:
  psi-router sandbox
  psi-router sandbox --listen 127.0.0.1:3003 --webhook http://127.0.0.1:3002/webhook
  psi-router sandbox send message.json
  psi-router sandbox send - --line wsp4 < message.json`
}

type sandboxRun struct {
	Listen  string `default:"127.0.0.1:3003" help:"Address of the fake WhatsApp."`
	Webhook string `default:"http://127.0.0.1:3002/webhook" help:"Where it posts what people do."`
}

func (c *sandboxRun) Run(e *env) error {
	listener, err := (&net.ListenConfig{}).Listen(e.ctx, "tcp", c.Listen)
	if err != nil {
		return problem("listen on %s: %w: another program may use it, choose one with --listen", c.Listen, err)
	}
	base := "http://" + listener.Addr().String()
	router := strings.TrimSuffix(c.Webhook, "/webhook")
	s, err := sandbox.New(sandbox.Options{
		PhoneNumberID: config.DevPhoneNumberID, DisplayNumber: config.DevNumber, AppSecret: config.DevAppSecret,
		VerifyToken: config.DevVerifyToken, Token: config.DevToken,
		WebhookURL: func() string { return c.Webhook }, BaseURL: func() string { return base },
		APIBase: router + apiPrefix, APIKey: cmp.Or(e.Key, config.DevAPIKey),
		Log: observe.NewLogger(e.err, "info", "auto"),
	})
	if err != nil {
		listener.Close()
		return err
	}
	// The sandbox's page calls the router with our key, so its hosts are guarded.
	own := hosts.Options{Listen: c.Listen}
	if cfg, err := e.localConfig(); err == nil {
		own.Names = cfg.Hosts
	}
	h := admission.Pace(admission.New(admission.Options{}).Charge(hosts.New(own).Guard(s.Handler())))
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	page, graph := base+"/sandbox", base+"/sandbox/graph/v26.0"
	if err := e.report(map[string]string{"url": page, "graph_url": graph, "webhook": c.Webhook},
		"phone      %s\ngraph_url  %s\nwebhook    %s\n", page, graph, c.Webhook); err != nil {
		listener.Close()
		return err
	}
	g, ctx := errgroup.WithContext(e.ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	return g.Wait()
}

type sandboxSend struct {
	File     string            `arg:"" help:"JSON of any shape; - reads standard input."`
	Line     string            `placeholder:"ID" help:"Line that it arrives on; otherwise the one that it names, or the sandbox."`
	Secret   string            `placeholder:"SECRET" help:"App secret to sign with; otherwise the line's."`
	Unsigned bool              `help:"Do not sign."`
	KeepIDs  bool              `name:"keep-ids" help:"Leave message ids as they are: a repeat."`
	KeepTime bool              `help:"Leave times as they are: a stale message."`
	Raw      bool              `help:"Post the bytes as they are."`
	Header   map[string]string `placeholder:"NAME=VALUE" help:"More headers."`
}

func (c *sandboxSend) Run(e *env) error {
	src, err := c.read(e)
	if err != nil {
		return err
	}
	cfg, err := e.localConfig()
	if err != nil {
		return err
	}
	o, err := c.options(e, cfg, src)
	if err != nil {
		return err
	}
	res, err := sandbox.Post(e.ctx, o)
	if err != nil {
		if e.ctx.Err() != nil {
			return e.ctx.Err()
		}
		return unreachable("%w: is the router running? --url says where", err)
	}
	if e.JSON {
		var answer any = string(res.Answer)
		if json.Valid(res.Answer) {
			answer = json.RawMessage(res.Answer)
		}
		if err := e.printJSON(map[string]any{"status": res.Code, "answer": answer, "ids": res.IDs}); err != nil {
			return err
		}
	} else {
		e.printf("%d %s\n", res.Code, oneLine(string(res.Answer), 500))
		for _, id := range res.IDs {
			e.printf("  %s\n", oneLine(id, 200))
		}
	}
	return failIf(res.Code >= 300)
}

func (c *sandboxSend) read(e *env) ([]byte, error) {
	const most = 32 << 20
	if c.File == "-" {
		return io.ReadAll(io.LimitReader(e.in, most))
	}
	src, err := os.ReadFile(c.File)
	if err != nil {
		return nil, usage("%w", err)
	}
	return src, nil
}

// options returns the address and the signature that the line expects.
func (c *sandboxSend) options(e *env, cfg *config.Config, src []byte) (sandbox.PostOptions, error) {
	o := sandbox.PostOptions{
		File: src, URL: webhookURL(e.URL, cfg.Listen), KeepID: c.KeepIDs, KeepTime: c.KeepTime, Raw: c.Raw, Header: http.Header{},
	}
	line := cfg.Lines[c.Line]
	if c.Line != "" && line == nil {
		return o, usage("--line %s: no such line is configured; there are %s", c.Line, strings.Join(cfg.LineIDs(), ", "))
	}
	if c.Line != "" {
		o.URL += "/" + url.PathEscape(c.Line)
	}
	if line == nil {
		line = lineNamedIn(cfg, src)
	}
	switch {
	case line == nil:
	case line.Provider == "evolution":
		o.Header.Set("X-Webhook-Secret", line.Secret.First())
	default:
		o.AppSecret = line.AppSecret.First()
		o.PhoneNumberID = line.PhoneNumberID
	}
	if c.Secret != "" {
		o.AppSecret = c.Secret
	}
	for name, value := range c.Header {
		o.Header.Set(name, value)
	}
	if c.Unsigned {
		o.AppSecret = ""
		o.Header.Del("X-Webhook-Secret")
	} else if o.AppSecret == "" && len(o.Header) == 0 {
		return o, usage("there is no secret to sign with: name a line with --line, or give --secret or --unsigned")
	}
	return o, nil
}

// lineNamedIn returns the line that the payload names, else the sandbox's.
func lineNamedIn(cfg *config.Config, src []byte) *config.Line {
	text := string(src)
	for _, id := range cfg.LineIDs() {
		l := cfg.Lines[id]
		for _, ref := range []string{l.PhoneNumberID, l.Instance} {
			if ref != "" && strings.Contains(text, `"`+ref+`"`) {
				return l
			}
		}
	}
	return cfg.Lines[config.DevLine]
}

// webhookURL returns the webhook of the router at base, else of the one on this machine.
func webhookURL(base, listen string) string {
	if base != "" {
		base = strings.TrimSuffix(strings.TrimRight(base, "/"), "/webhook")
		return base + "/webhook"
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen + "/webhook"
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/webhook"
}
