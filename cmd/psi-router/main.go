// Command psi-router is the router and its operator's tools, one file for each command. It
// parses flags, asks and prints. It must leave the work to app, the API and the packages of
// internal.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/redact"
)

// version is set by the linker.
var version = "dev"

// Exit codes.
const (
	exitOK          = 0
	exitProblem     = 1 // the command found or met a problem
	exitUsage       = 2 // the command line is wrong
	exitUnreachable = 3 // the router or a server does not answer
)

// failure is an error with the exit code that it ends the program with.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usage(format string, a ...any) error   { return &failure{exitUsage, fmt.Errorf(format, a...)} }
func problem(format string, a ...any) error { return &failure{exitProblem, fmt.Errorf(format, a...)} }

func unreachable(format string, a ...any) error {
	return &failure{exitUnreachable, fmt.Errorf(format, a...)}
}

// errSilent ends with exitProblem and prints nothing more.
var errSilent = &failure{exitProblem, errors.New("problems found")}

// failIf returns errSilent if what was printed is bad.
func failIf(bad bool) error {
	if bad {
		return errSilent
	}
	return nil
}

func main() {
	// Rows and pages live outside the Go heap. The heap is so small that the default would
	// collect it all the time, for a tenth of the cost of a turn.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// run is main with its surroundings as arguments.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, environ []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)

	out := &safeWriter{w: stdout, allowStyles: observe.IsTerminal(stdout)}
	stdout, stderr = out, &safeWriter{w: stderr, allowStyles: observe.IsTerminal(stderr)}
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("psi-router"),
		kong.Description("A WhatsApp router: what arrives is stored durably, decided in order, and answered once.\n\nStart with `psi-router serve`: without a configuration it brings its own sandbox."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{"version": version},
	)
	if err != nil {
		fmt.Fprintln(stderr, "psi-router:", err)
		return exitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	cmd, err := parser.Parse(args)
	if exited >= 0 { // help was shown
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "psi-router: %v\nSee psi-router %s--help.\n", err, commandOf(parser, args))
		return exitUsage
	}
	out.asJSON = c.JSON
	e := &env{ctx: ctx, in: stdin, out: stdout, err: stderr, environ: environ, now: time.Now, globals: &c.globals}
	e.urlGiven = e.URL != ""
	e.Config, e.URL, e.Key = cmp.Or(e.Config, e.variable("PSI_CONFIG")), cmp.Or(e.URL, e.variable("PSI_URL")), cmp.Or(e.Key, e.variable("PSI_KEY"))
	return e.exit(cmd.Run(e))
}

// commandOf returns the command of a line that could not be parsed, for the hint.
func commandOf(parser *kong.Kong, args []string) string {
	for _, known := range parser.Model.Children {
		if known.Name == args[0] {
			return args[0] + " "
		}
	}
	return ""
}

// exit prints the error and returns the exit code.
func (e *env) exit(err error) int {
	if err == nil || errors.Is(err, context.Canceled) && e.ctx.Err() != nil {
		return exitOK
	}
	code := exitProblem
	if f, ok := errors.AsType[*failure](err); ok {
		code = f.code
	}
	if !errors.Is(err, errSilent) {
		fmt.Fprintln(e.err, "psi-router:", e.redact.Words(err.Error()))
	}
	return code
}

// redactedError is an error with a server's words. Phone numbers in it are hidden too, because
// the operator did not type them.
type redactedError struct {
	text string
	err  error
}

func (h *redactedError) Error() string { return h.text }
func (h *redactedError) Unwrap() error { return h.err }

func (e *env) redacted(err error) error {
	if err == nil {
		return nil
	}
	return &redactedError{e.redact.Text(err.Error()), err}
}

// addSecrets hides the secrets of an address from the command line too.
func (e *env) addSecrets(cfg *config.Config, address string) {
	given := config.Config{DatabaseURL: config.NewSecret(address)}
	e.redact = redact.New(slices.Concat(cfg.Secrets(), given.Secrets(), []string{e.Key})...)
}

// cli is the whole command line.
type cli struct {
	globals

	Serve   serveCmd    `cmd:"" help:"Run the router."`
	Init    initCmd     `cmd:"" help:"Make a configuration: asks, checks each answer, keeps secrets in files."`
	Doctor  doctorCmd   `cmd:"" help:"Check everything this installation depends on: ok, warning or broken, with the fix."`
	Migrate migrateCmd  `cmd:"" help:"Bring the database to this version and stop."`
	Chat    chatCmd     `cmd:"" help:"Talk to a flow in the terminal; needs no service."`
	Flow    flowCmd     `cmd:"" help:"Check, draw and test flows."`
	Conv    convCmd     `cmd:"" help:"Change a conversation."`
	Left    leftCmd     `cmd:"" help:"People who were left without an answer, and why."`
	Trace   traceCmd    `cmd:"" help:"Everything that is known about a message, a person or a ticket."`
	Why     whyCmd      `cmd:"" help:"Why somebody was, or was not, answered."`
	Phone   phoneCmd    `cmd:"" help:"The canonical form of a phone number, and why."`
	Queue   queueCmd    `cmd:"" help:"Look at queues, pause and resume them."`
	Store   storeCmd    `cmd:"" help:"Take the store to PostgreSQL."`
	Dead    deadCmd     `cmd:"" help:"Jobs that were given up."`
	Sandbox sandboxCmd  `cmd:"" help:"The fake WhatsApp, and payloads for the webhook."`
	Drill   drillCmd    `cmd:"" help:"Rehearse the bad days on an installation that is thrown away."`
	Load    loadtestCmd `cmd:"" name:"loadtest" help:"Write to a router as many people do, and ask for every message."`
	Key     keyCmd      `cmd:"" help:"Keys of the API."`
	Version versionCmd  `cmd:"" help:"What runs."`
}

// globals are the flags of all commands.
type globals struct {
	Config string `short:"c" placeholder:"FILE" help:"Configuration file (PSI_CONFIG)."`
	URL    string `placeholder:"URL" help:"Router to talk to, instead of the one in data_dir (PSI_URL)."`
	Key    string `placeholder:"KEY" help:"API key for --url (PSI_KEY)."`
	JSON   bool   `help:"Print JSON."`
	Lang   string `enum:"es,en" default:"es" help:"Language of explanations: es or en."`

	urlGiven bool // --url was given
}

// env is the surroundings of a command.
type env struct {
	*globals
	ctx      context.Context //nolint:containedctx // lives as long as the command
	in       io.Reader
	out, err io.Writer
	environ  []string
	now      func() time.Time
	// redact hides the secrets of the configuration once it was read.
	redact *redact.Redactor
}

// config reads the configuration and reports every problem.
func (e *env) config() (*config.Config, error) {
	c, err := config.Load(config.Options{File: e.Config, Env: e.environ})
	e.redact = redact.New(append(c.Secrets(), e.Key)...)
	return c, err
}

// localConfig reads the configuration for commands that only need its paths. They work in a
// shell without the secrets. A problem with any other key is an error: its default might be
// another router's files.
func (e *env) localConfig() (*config.Config, error) {
	return e.configExcept(slices.Concat(serveOnly, engines))
}

// engineConfig reads the configuration for commands that open the queue and the store.
func (e *env) engineConfig() (*config.Config, error) { return e.configExcept(serveOnly) }

// serveOnly are the parts of the configuration that only a running router uses. engines are
// the addresses of the queue and the store. Both hold secrets.
var (
	serveOnly = []string{"lines", "api_keys", "endpoints", "alerts", "admin_password"}
	engines   = []string{"redis_url", "database_url", "database_direct_url"}
)

// configExcept reads the configuration and ignores problems with the given parts.
func (e *env) configExcept(parts []string) (*config.Config, error) {
	c, err := e.config()
	var ps config.Problems
	if !errors.As(err, &ps) {
		return c, err
	}
	var matter config.Problems
	for _, p := range ps {
		if part, _, _ := strings.Cut(p.Key, "."); !slices.Contains(parts, part) {
			matter = append(matter, p)
		}
	}
	if len(matter) > 0 {
		return nil, usage("%w", matter)
	}
	return c, nil
}
