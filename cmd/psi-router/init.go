package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/doctor"
	"github.com/psivisionhub/psi-router/internal/redact"
)

type initCmd struct {
	Dir     string `default:"." placeholder:"DIR" help:"Where psi-router.yaml and secrets/ are written."`
	Listen  string `placeholder:"ADDR" help:"Address to listen on (127.0.0.1:3002)."`
	DataDir string `placeholder:"DIR" help:"Where data live (data, in --dir)."`
	Public  string `name:"public-url" placeholder:"URL" help:"How Meta reaches this router, such as https://wsp.example.com."`
	Flow    string `placeholder:"FILE" help:"Flow; otherwise the one that comes with the program."`
	FromEnv []byte `name:"from-env" type:"filecontent" placeholder:"FILE" help:"Take what is not given from the .env file of the previous product; - is standard input."`

	Database     string `name:"database-url" placeholder:"URL" help:"PostgreSQL; without it everything is kept in --data-dir."`
	DatabaseFile []byte `name:"database-url-file" type:"filecontent" placeholder:"FILE" help:"The same, from a file."`
	Direct       string `name:"database-direct-url" placeholder:"URL" help:"PostgreSQL past the pooler, for migrations."`
	Redis        string `name:"redis-url" placeholder:"URL" help:"Redis, for several processes; needs PostgreSQL."`
	RedisFile    []byte `name:"redis-url-file" type:"filecontent" placeholder:"FILE" help:"The same, from a file."`
	Durability   string `enum:"fsync,replica,relaxed" default:"fsync" help:"What a 200 promises with Redis: fsync, replica or relaxed."`

	Line          string `placeholder:"ID" help:"Id of the first line (wsp4)."`
	Phone         string `name:"phone-number-id" placeholder:"ID" help:"Its phone number id at Meta."`
	Token         string `placeholder:"TOKEN" help:"Access token; a file is safer."`
	TokenFile     []byte `type:"filecontent" placeholder:"FILE" help:"Access token, from a file; - is standard input."`
	AppSecret     string `placeholder:"SECRET" help:"App secret; a file is safer."`
	AppSecretFile []byte `type:"filecontent" placeholder:"FILE" help:"App secret, from a file; - is standard input."`
	VerifyToken   string `placeholder:"WORD" help:"Word for the handshake; otherwise a new one."`
	Graph         string `name:"graph-url" placeholder:"URL" help:"Another Graph API, such as that of psi-router sandbox."`
	APIKey        string `name:"api-key" default:"crm" placeholder:"NAME" help:"Make an API key of this name; none makes none."`

	Force   bool `help:"Overwrite what is there."`
	NoCheck bool `help:"Do not ask Redis, PostgreSQL and WhatsApp."`
	Yes     bool `help:"Ask nothing: take flags and defaults."`

	forceInteractive bool // ask without a terminal (tests)
}

func (initCmd) Help() string {
	return `It asks what is not given, checks each answer (Redis, PostgreSQL, the port, the number, token and app secret at Meta), and writes psi-router.yaml (0640) and its secrets (0600, in files of their own). Nothing that exists is overwritten without --force. Then it says what to paste at Meta, and ends in doctor.

In a script, or with --yes, nothing is asked: an answer that does not hold is an error, and nothing is written. Where WhatsApp cannot be reached, its answers are not checked.

--from-env reads lines of KEY=VALUE and says of each variable what became of it; docs/migration.md has the names. What is still missing is asked, or given by flags.

Examples:
  psi-router init
  psi-router init --dir /etc/psi-router --data-dir /var/lib/psi-router
  psi-router init --yes --phone-number-id 106540352242922 --token-file token --app-secret-file secret --public-url https://wsp.example.com
  psi-router init --from-env .env --public-url https://wsp.example.com
  psi-router init --yes --from-env - < .env
  psi-router init --yes --database-url-file db --redis-url redis://127.0.0.1:6379/0 --phone-number-id 106540352242922 --token-file token --app-secret-file secret`
}

func (c *initCmd) Run(e *env) error {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return usage("--dir: %w", err)
	}
	s := &setup{
		initCmd: c, e: e, dir: dir, in: bufio.NewReader(e.in), interactive: c.forceInteractive || e.interactive() && !c.Yes, secrets: map[string]string{},
		lines: []lineValues{{values: map[string]string{"provider": "cloud"}}},
	}
	if there := s.existing(); len(there) > 0 && !c.Force {
		return usage("%s", e.say(initExists, strings.Join(there, ", ")))
	}
	if err := s.ask(); err != nil {
		if e.ctx.Err() != nil {
			return e.ctx.Err()
		}
		return err
	}
	text := s.yaml()
	if err := s.validate(text); err != nil {
		return err
	}
	if err := s.write(text); err != nil {
		return problem("%w", err)
	}
	e.Config = s.file()
	r, err := e.examine()
	if err != nil {
		return err
	}
	if !e.JSON {
		s.printNextSteps()
		e.printDoctor(r)
	} else if err := e.printJSON(initResult{s.file(), s.callback(), s.VerifyToken, s.key, r}); err != nil {
		return err
	}
	return failIf(r.Broken > 0)
}

// initResult is what init prints with --json.
type initResult struct {
	Config      string        `json:"config"`
	Callback    string        `json:"callback_url,omitempty"`
	VerifyToken string        `json:"verify_token"`
	APIKey      string        `json:"api_key,omitempty"`
	Doctor      doctor.Report `json:"doctor"`
}

// callback is the address that Meta posts to, "" while it is unknown.
func (s *setup) callback() string {
	if s.Public == "" {
		return ""
	}
	return strings.TrimRight(s.Public, "/") + "/webhook"
}

// setup is the installation that init describes.
type setup struct {
	*initCmd
	e           *env
	dir         string
	in          *bufio.Reader
	interactive bool
	secrets     map[string]string // by file name
	key         string            // the API key, shown once

	lines    []lineValues
	logLevel string // "" is the default
}

// cloud reports whether the first line is on the Cloud API. Then flags and questions are about
// that line.
func (s *setup) cloud() bool { return s.lines[0].values["provider"] == "cloud" }

func (s *setup) file() string              { return filepath.Join(s.dir, "psi-router.yaml") }
func (s *setup) secret(name string) string { return filepath.Join(s.dir, "secrets", name) }

// existing lists the files that would be overwritten.
func (s *setup) existing() []string {
	var there []string
	for _, path := range []string{s.file(), filepath.Join(s.dir, "secrets")} {
		entries, err := os.ReadDir(path)
		if _, missing := os.Stat(path); missing == nil && (err != nil || len(entries) > 0) {
			there = append(there, path)
		}
	}
	return there
}

// question asks for one setting.
type question struct {
	flag, text string
	dest       *string
	fallback   string // the default
	required   bool   // an empty answer is refused
	secret     bool   // the answer is not echoed
	remote     bool   // the check asks another server; --no-check skips it
	check      func(ctx context.Context, value string) (note string, err error)
}

// errNotChecked says that no server could be asked: the answer is accepted.
var errNotChecked = errors.New("not checked")

var lineName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

func (s *setup) ask() error {
	c, say := s.initCmd, s.e.say
	for _, f := range []struct {
		flag string
		to   *string
		from []byte
	}{{"database-url", &c.Database, c.DatabaseFile}, {"redis-url", &c.Redis, c.RedisFile}, {"token", &c.Token, c.TokenFile}, {"app-secret", &c.AppSecret, c.AppSecretFile}} {
		if len(f.from) == 0 {
			continue
		}
		if *f.to != "" {
			return usage("--%s and --%s-file: give one of them", f.flag, f.flag)
		}
		*f.to = strings.TrimSpace(string(f.from))
	}
	if c.FromEnv != nil {
		if err := s.takeEnv(); err != nil {
			return err
		}
	}
	questions := []question{
		{flag: "listen", text: say(askListen), dest: &c.Listen, fallback: "127.0.0.1:3002", required: true, check: s.checkListen},
		{flag: "data-dir", text: say(askDataDir), dest: &c.DataDir, fallback: filepath.Join(s.dir, "data"), required: true, check: s.checkDir},
		{flag: "public-url", text: say(askPublic), dest: &c.Public, check: s.checkPublic},
		{flag: "database-url", text: say(askDatabase), dest: &c.Database, secret: true, remote: true, check: s.checkDatabase},
		{flag: "database-direct-url", text: say(askDirect), dest: &c.Direct, secret: true, remote: true, check: s.checkDatabase},
		{flag: "redis-url", text: say(askRedis), dest: &c.Redis, secret: true, remote: true, check: s.checkRedis},
		{flag: "line", text: say(askLine), dest: &c.Line, fallback: "wsp4", required: true, check: s.checkLine},
		{flag: "phone-number-id", text: say(askPhone), dest: &c.Phone, required: true, check: s.checkPhone},
		{flag: "app-secret", text: say(askAppSecret), dest: &c.AppSecret, required: true, secret: true, check: s.checkSecret},
		{flag: "token", text: say(askToken), dest: &c.Token, required: true, secret: true, remote: true, check: s.checkToken},
	}
	if !s.cloud() {
		questions = questions[:6]
	}
	for _, q := range questions {
		// Without a database there is no pooler to bypass and nothing that processes share.
		if c.Database == "" && s.interactive && (q.flag == "database-direct-url" || q.flag == "redis-url") && *q.dest == "" {
			continue
		}
		if err := s.answer(q); err != nil {
			return err
		}
	}
	if c.Redis != "" && c.Database == "" {
		return usage("%s", say(redisNeeds))
	}
	if s.cloud() {
		c.VerifyToken = cmp.Or(c.VerifyToken, strings.ToLower(rand.Text()))
		s.lines[0].id, s.lines[0].values["phone_number_id"] = c.Line, c.Phone
	}
	for _, l := range s.lines {
		if l.values["provider"] == "cloud" {
			l.values["token"], l.values["app_secret"], l.values["verify_token"] = c.Token, c.AppSecret, c.VerifyToken
		}
	}
	return nil
}

// answer asks until the answer passes its check.
func (s *setup) answer(q question) error {
	e := s.e
	for given := *q.dest != ""; ; given = false {
		if !given && s.interactive {
			value, err := s.prompt(q)
			if err != nil {
				return err
			}
			*q.dest = value
		}
		*q.dest = strings.TrimSpace(cmp.Or(*q.dest, q.fallback))
		e.redact = s.redactor() // a server may repeat the answer that it is asked about
		var note string
		var err error
		switch {
		case *q.dest == "" && q.required:
			err = errors.New(e.say(isNeeded))
		case *q.dest == "" || q.remote && s.NoCheck:
			return nil
		default:
			ctx, cancel := context.WithTimeout(e.ctx, checkTime)
			note, err = q.check(ctx, *q.dest)
			cancel()
		}
		switch {
		case e.ctx.Err() != nil:
			return e.ctx.Err()
		case err == nil:
			if note != "" {
				s.note(green, "✓", note)
			}
			return nil
		case errors.Is(err, errNotChecked):
			s.note(yellow, "!", note)
			return nil
		case !s.interactive && *q.dest == "":
			return usage("--%s: %w", q.flag, err)
		case !s.interactive:
			return problem("--%s: %w", q.flag, err)
		}
		s.note(red, "✗", err.Error())
	}
}

// redactor hides the secrets answered so far. A shorter answer is no secret, and our own
// words may contain it.
func (s *setup) redactor() *redact.Redactor {
	c := config.Config{
		DatabaseURL: config.NewSecret(s.Database), DatabaseDirectURL: config.NewSecret(s.Direct), RedisURL: config.NewSecret(s.Redis),
		Lines: map[string]*config.Line{s.Line: {Token: config.NewSecret(s.Token), AppSecret: config.NewSecret(s.AppSecret)}},
	}
	all := c.Secrets()
	for _, l := range s.lines {
		all = append(all, l.values["api_key"], l.values["secret"])
	}
	return redact.New(slices.DeleteFunc(all, func(v string) bool { return len(v) < 8 })...)
}

func (s *setup) note(code, mark, text string) {
	fmt.Fprintf(s.e.err, "  %s %s\n", s.e.style(code, mark), oneLine(s.e.redact.Words(text), 600))
}

func (s *setup) prompt(q question) (string, error) {
	more := ""
	if q.fallback != "" {
		more = " [" + q.fallback + "]"
	}
	fmt.Fprintf(s.e.err, "%s%s: ", q.text, more)
	if f, ok := s.e.in.(*os.File); ok && q.secret && term.IsTerminal(int(f.Fd())) {
		raw, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(s.e.err)
		if err != nil {
			return "", problem("read the answer: %w", err)
		}
		return string(raw), nil
	}
	line, err := s.in.ReadString('\n')
	if err != nil && line == "" {
		return "", problem("%s", s.e.say(noMoreAnswers))
	}
	return strings.TrimSpace(line), nil
}

// validate loads the configuration as the router will, before it is written.
func (s *setup) validate(text string) error {
	cfg, err := config.Load(config.Options{File: s.file(), ReadFile: func(name string) ([]byte, error) {
		if name == s.file() {
			return []byte(text), nil
		}
		if value, ok := s.secrets[filepath.Base(name)]; ok {
			return []byte(value), nil
		}
		return nil, fmt.Errorf("%s: %w", name, os.ErrNotExist)
	}})
	if err == nil {
		err = app.CheckFlow(cfg)
	}
	if err != nil {
		return problem("%s: %w", s.e.say(nothingWritten), err)
	}
	return nil
}

// printNextSteps says what to paste at Meta and how to start.
func (s *setup) printNextSteps() {
	e := s.e
	e.printf("\n%s\n  %s\n  %s\n\n", e.say(initWritten), s.file(), filepath.Join(s.dir, "secrets")+string(filepath.Separator))
	if s.cloud() {
		e.printf("%s\n  %s  %s\n  %s  %s\n  %s\n\n",
			e.say(pasteAtMeta),
			e.say(callbackURL), cmp.Or(s.callback(), "https://…/webhook"), e.say(verifyToken), s.VerifyToken,
			e.say(subscribe))
	}
	if s.key != "" {
		e.printf("%s\n  %s\n\n", e.say(keyOfAPI, s.APIKey), s.key)
	}
	e.printf("%s\n  psi-router serve --config %s\n\n", e.say(toStart), s.file())
}
