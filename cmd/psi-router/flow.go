package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/transcript"
)

type flowCmd struct {
	Check   flowCheck   `cmd:"" help:"What WhatsApp would refuse, and what people would fall into."`
	Diagram flowDiagram `cmd:"" help:"Draw the tree."`
	Test    flowTest    `cmd:"" help:"Run .chat transcripts."`
}

func (flowCmd) Help() string {
	return `Without a file: the configured flow, or the one inside the program.

Examples:
  psi-router flow check flows/psi.yaml
  psi-router flow diagram > tree.mmd
  psi-router flow diagram --format svg > tree.svg
  psi-router flow test
  psi-router flow test --flow mine.yaml mine.chat`
}

// builtin is the flow that the program contains.
const builtin = "psi.yaml"

// readFlow reads a flow file; "" is the configured flow, else the built-in one.
func (e *env) readFlow(file string) (name string, src []byte, err error) {
	if file == "" {
		cfg, err := e.localConfig()
		if err != nil {
			return "", nil, err
		}
		file = cfg.Flow
	}
	if file == "" {
		src, err = fs.ReadFile(flows.FS, builtin)
		return builtin, src, err
	}
	src, err = os.ReadFile(file)
	if err != nil {
		return "", nil, usage("%w", err)
	}
	return file, src, nil
}

type flowCheck struct {
	Files  []string `arg:"" optional:"" name:"file" help:"Flow files."`
	Strict bool     `help:"Fail on warnings too."`
}

func (c *flowCheck) Run(e *env) error {
	if len(c.Files) == 0 {
		c.Files = []string{""}
	}
	all := flow.Problems{}
	for _, file := range c.Files {
		name, src, err := e.readFlow(file)
		if err != nil {
			return err
		}
		f, problems := flow.Check(name, src)
		all = append(all, problems...)
		if e.JSON {
			continue
		}
		for _, p := range problems {
			code := yellow
			if p.Severity == flow.SeverityError {
				code = red
			}
			e.printf("%s:%d:%d: %s: %s\n", p.File, p.Line, p.Column, e.style(code, string(p.Severity)), p.Message)
		}
		if f != nil {
			e.printf("%s: %s\n", name, e.style(green, flowSize(f)))
		}
	}
	if e.JSON {
		if err := e.printJSON(all); err != nil {
			return err
		}
	}
	return failIf(all.Fatal() || c.Strict && len(all) > 0)
}

func flowSize(f *flow.Flow) string {
	options := 0
	for _, m := range f.Menus {
		options += len(m.Options)
	}
	return plural(len(f.Menus), "menu") + ", " + plural(options, "option") + ", " + plural(len(f.Areas), "area")
}

type flowDiagram struct {
	File   string `arg:"" optional:"" help:"Flow file."`
	Format string `enum:"mermaid,svg" default:"mermaid" help:"mermaid or svg."`
}

func (c *flowDiagram) Run(e *env) error {
	name, src, err := e.readFlow(c.File)
	if err != nil {
		return err
	}
	f, err := flow.Parse(name, src)
	if err != nil {
		return problem("%w", err)
	}
	text := flow.Mermaid(f)
	if c.Format == "svg" {
		text = flow.SVG(f)
	}
	return e.report(map[string]string{"format": c.Format, "diagram": text}, "%s\n", strings.TrimRight(text, "\n"))
}

type flowTest struct {
	Flow  string   `placeholder:"FILE" help:"Flow to test; otherwise the configured one, or the one inside the program."`
	Files []string `arg:"" optional:"" name:"chat" help:"Transcripts, or directories of them; otherwise those beside the flow."`
}

type chatResult struct {
	File     string              `json:"file"`
	OK       bool                `json:"ok"`
	Failures transcript.Failures `json:"failures"`
}

func (c *flowTest) Run(e *env) error {
	rules, err := e.loadRules(c.Flow)
	if err != nil {
		return err
	}
	chats, err := c.chats(e)
	if err != nil {
		return err
	}
	results := make([]chatResult, 0, len(chats))
	failures := 0
	for _, chat := range chats {
		r := chatResult{File: chat.name, Failures: transcript.Failures{}}
		err := transcript.Run(chat.name, chat.src, rules)
		if fs, ok := errors.AsType[transcript.Failures](err); ok {
			r.Failures = fs
		} else if err != nil {
			return problem("%s: %w", chat.name, err)
		}
		r.OK = len(r.Failures) == 0
		failures += len(r.Failures)
		results = append(results, r)
		switch {
		case e.JSON:
		case r.OK:
			e.printf("%s  %s\n", e.style(green, "ok"), chat.name)
		default:
			e.printf("%s\n", e.style(red, r.Failures.Error()))
		}
	}
	if e.JSON {
		if err := e.printJSON(results); err != nil {
			return err
		}
	} else {
		e.printf("%s, %s\n", plural(len(chats), "transcript"), plural(failures, "failure"))
	}
	return failIf(failures > 0)
}

type chatFile struct {
	name string
	src  []byte
}

// chats reads the named transcripts, else those beside the flow.
func (c *flowTest) chats(e *env) ([]chatFile, error) {
	files, err := expandDirs(c.Files)
	if err != nil {
		return nil, err
	}
	read := os.ReadFile
	if len(files) == 0 {
		cfg, err := e.localConfig()
		if err != nil {
			return nil, err
		}
		if file := cmp.Or(c.Flow, cfg.Flow); file != "" {
			files, err = transcripts(filepath.Dir(file))
		} else {
			read = flows.FS.ReadFile
			files, err = fs.Glob(flows.FS, "*.chat")
		}
		if err != nil {
			return nil, usage("%w", err)
		}
	}
	if len(files) == 0 {
		return nil, usage("there are no transcripts beside the flow: name some, such as `psi-router flow test mine.chat`")
	}
	chats := make([]chatFile, len(files))
	for i, name := range files {
		src, err := read(name)
		if err != nil {
			return nil, usage("%w", err)
		}
		chats[i] = chatFile{name, src}
	}
	return chats, nil
}

func transcripts(dir string) ([]string, error) { return filepath.Glob(filepath.Join(dir, "*.chat")) }

// expandDirs replaces each directory by its transcripts.
func expandDirs(named []string) ([]string, error) {
	var files []string
	for _, name := range named {
		info, err := os.Stat(name)
		if err != nil || !info.IsDir() {
			files = append(files, name) // reading it reports what is wrong
			continue
		}
		inside, err := transcripts(name)
		if err != nil || len(inside) == 0 {
			return nil, usage("there are no transcripts in %s: they end in .chat", name)
		}
		files = append(files, inside...)
	}
	return files, nil
}
