package main

import (
	"errors"
	"os"
	"time"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/transcript"
)

type chatCmd struct {
	Flow string `placeholder:"FILE" help:"Flow to talk to; otherwise the configured one, or the one inside the program."`
	Line string `placeholder:"ID" help:"Line to write to; otherwise the flow's first."`
}

func (chatCmd) Help() string {
	return `Each line is a message. It prints what the person would get, and the reason of each decision. Nothing is stored or sent.

Examples:
  psi-router chat
  printf 'hola\n1\n11\n' | psi-router chat
  psi-router chat --flow flows/psi.yaml --lang en`
}

// serviceWindow is how long WhatsApp's service window stays open.
const serviceWindow = 24 * time.Hour

// loadRules reads a flow and the settings that its decisions depend on.
func (e *env) loadRules(file string) (router.Rules, error) {
	cfg, err := e.localConfig()
	if err != nil {
		return router.Rules{}, err
	}
	if file == "" {
		file = cfg.Flow
	}
	f, err := app.LoadFlow(file)
	if errors.Is(err, os.ErrNotExist) {
		return router.Rules{}, usage("%w", err)
	}
	if err != nil {
		return router.Rules{}, problem("%w", err)
	}
	return router.Rules{Flow: f, HandoffTimeout: cfg.HandoffTimeout.D(), Window: serviceWindow}, nil
}

func (c *chatCmd) Run(e *env) error {
	rules, err := e.loadRules(c.Flow)
	if err != nil {
		return err
	}
	return transcript.Chat(e.ctx, e.in, e.out, rules, transcript.Options{
		Line: c.Line, Lang: e.Lang, Color: e.color(), Prompt: e.interactive(), JSON: e.JSON,
	})
}
