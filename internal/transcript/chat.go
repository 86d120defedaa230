package transcript

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
)

// Options of Chat. The zero value chats on the flow's first line, in plain Spanish text.
type Options struct {
	Line   string           // line to write to; "" for the flow's first
	Lang   string           // of the reasons: "es" or "en"
	Color  bool             // colours and bold for a terminal
	Prompt bool             // for a terminal: show a prompt and do not echo the input
	JSON   bool             // one object per turn instead of text
	Now    func() time.Time // nil: the clock
}

// maxInput bounds one line of input, in bytes.
const maxInput = 64 << 10

// Chat plays a conversation over a pair of streams until the input or the context ends. Each
// line is a message, or begins with a sign of a transcript ("*" a command, "@ +25h" the clock,
// "#" a comment). Chat prints the replies and the reason.
func Chat(ctx context.Context, in io.Reader, out io.Writer, rules router.Rules, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Line == "" {
		o.Line = firstLine(rules)
	}
	c := &chat{Options: o, out: out, player: newPlayer(rules, o.Line)}
	lines, failed := readLines(ctx, in)
	for {
		c.prompt()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line, more := <-lines:
			if !more {
				return <-failed
			}
			if err := c.handle(strings.TrimSpace(line)); err != nil {
				return fmt.Errorf("write the chat: %w", err)
			}
		}
	}
}

// readLines reads in the background, so that an idle terminal does not block the program. lines
// is closed at the end, then failed has the error or nil.
func readLines(ctx context.Context, in io.Reader) (lines <-chan string, failed <-chan error) {
	to, done := make(chan string), make(chan error, 1)
	go func() {
		defer close(to)
		scan := bufio.NewScanner(in)
		scan.Buffer(nil, maxInput)
		for scan.Scan() {
			select {
			case to <- scan.Text():
			case <-ctx.Done():
				return
			}
		}
		err := scan.Err()
		if err != nil {
			err = fmt.Errorf("read the chat: %w", err)
		}
		done <- err
	}()
	return to, done
}

type chat struct {
	Options
	out    io.Writer
	player *player
	ahead  time.Duration // how far "@ +25h" moved the clock
}

func (c *chat) now() time.Time { return c.Now().Add(c.ahead) }

func (c *chat) handle(line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	sign, rest := line[0], strings.TrimSpace(line[1:])
	if sign == '@' {
		if name, ok := strings.CutPrefix(rest, "line "); ok {
			c.player = c.player.newPerson(name)
			return nil
		}
		now, err := moveClock(c.now(), rest)
		if err != nil {
			return c.complain(line, err)
		}
		c.ahead += now.Sub(c.now())
		return c.show(line, c.player.runTimers(now))
	}
	if sign != '*' { // a message needs no sign
		sign, rest = '>', line
	}
	t, err := c.player.act(sign, rest, c.now())
	switch {
	case err != nil:
		return c.complain(line, err)
	case t == nil:
		return nil
	}
	return c.show(line, *t)
}

// turnJSON is one turn for programs.
type turnJSON struct {
	Input   string         `json:"input"`
	Reason  router.Reason  `json:"reason,omitempty"`
	Why     string         `json:"why,omitempty"`
	Replies []router.Reply `json:"replies,omitempty"`
	Effects []string       `json:"effects,omitempty"`
	State   router.State   `json:"state,omitempty"`
	Area    string         `json:"area,omitempty"`
	Menu    string         `json:"menu,omitempty"`
	Ticket  string         `json:"ticket,omitempty"`
	Epoch   int64          `json:"epoch"`
	Error   string         `json:"error,omitempty"`
}

func (c *chat) show(line string, t step) error {
	if c.JSON {
		return c.json(turnJSON{
			Input: line, Reason: t.Reason, Why: t.Reason.Text(c.Lang), Replies: t.Replies, Effects: t.effects(),
			State: t.Next.State, Area: t.Next.Area, Menu: t.Next.Menu, Ticket: t.Next.Ticket, Epoch: t.Next.Epoch,
		})
	}
	var b strings.Builder
	b.WriteString(c.echo(line))
	for _, r := range t.Replies {
		b.WriteString("\n" + c.bold(indent(r.Plain())) + "\n")
	}
	if t.Handoff != nil {
		b.WriteString("\n" + c.paint(green, "  → "+t.effects()[0]+" ticket="+t.Next.Ticket) + "\n")
	}
	b.WriteString("\n" + c.paint(grey, fmt.Sprintf("  ? %s: %s", t.Reason, t.Reason.Text(c.Lang))) + "\n\n")
	_, err := io.WriteString(c.out, b.String())
	return err
}

// complain prints the problem with a line, and goes on.
func (c *chat) complain(line string, problem error) error {
	if c.JSON {
		return c.json(turnJSON{Input: line, Error: problem.Error(), Epoch: c.player.conversation.Epoch})
	}
	_, err := io.WriteString(c.out, c.echo(line)+c.paint(red, "  ! "+problem.Error())+"\n\n")
	return err
}

// echo repeats the input unless it was typed at a prompt.
func (c *chat) echo(line string) string {
	if c.Prompt {
		return ""
	}
	return c.paint(cyan, "> "+line) + "\n"
}

func (c *chat) json(v turnJSON) error {
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (c *chat) prompt() {
	if c.Prompt && !c.JSON {
		fmt.Fprint(c.out, c.paint(cyan, "> "))
	}
}

// Colours of a terminal.
const (
	red   = "31"
	green = "32"
	cyan  = "36"
	grey  = "90"
)

func (c *chat) paint(colour, s string) string {
	if !c.Color {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

var starred = regexp.MustCompile(`\*([^*\n]+)\*`)

// bold turns WhatsApp's *bold* into a terminal's.
func (c *chat) bold(s string) string {
	if !c.Color {
		return s
	}
	return starred.ReplaceAllString(s, "\x1b[1m$1\x1b[0m")
}

// indent indents a text, but not its empty lines.
func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.ReplaceAll(s, "\n", "\n  "), "\n  \n", "\n\n")
}
