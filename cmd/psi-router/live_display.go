package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/term"
)

// liveDisplay shows a long run: its events line by line, and on a terminal a block of figures
// below them that is redrawn. It is not safe for concurrent use.
type liveDisplay struct {
	out        io.Writer
	title      string // "" once it was printed
	live       bool
	color      bool
	lines      int           // of the block on the screen
	lastLogged time.Duration // when figures were last logged
}

// logEvery is the interval of logged figures without a terminal.
const logEvery = 10 * time.Second

func (b *liveDisplay) style(code, s string) string { return styled(b.color, code, s) }

// logEvent prints an event in place of the block. The caller redraws the block.
func (b *liveDisplay) logEvent(at time.Duration, mark, text string) {
	b.clear()
	if b.title != "" {
		fmt.Fprintf(b.out, "%s\n\n", b.title)
		b.title = ""
	}
	fmt.Fprintf(b.out, "%s %s %s\n", b.style(dim, elapsedText(at)), mark, text)
}

// logFigures prints the figures in one line, at most every logEvery.
func (b *liveDisplay) logFigures(at time.Duration, figures []string) {
	if at-b.lastLogged < logEvery {
		return
	}
	b.lastLogged = at
	fmt.Fprintf(b.out, "%s   %s\n", elapsedText(at), strings.Join(figures, " · "))
}

// draw draws the block, with its figures dimmed.
func (b *liveDisplay) draw(head string, figures []string) {
	b.clear()
	width := b.width()
	fmt.Fprintf(b.out, "\n%s\n", truncate(head, width-1))
	for _, l := range figures {
		fmt.Fprintln(b.out, b.style(dim, truncate(l, width-1)))
	}
	b.lines = 2 + len(figures)
}

// clear removes the block from the screen.
func (b *liveDisplay) clear() {
	if b.lines > 0 {
		fmt.Fprintf(b.out, "\x1b[%dA\x1b[J", b.lines)
		b.lines = 0
	}
}

func (b *liveDisplay) width() int {
	if f, ok := b.out.(interface{ Fd() uintptr }); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 10 {
			return w
		}
	}
	return 80
}

func elapsedText(d time.Duration) string {
	return fmt.Sprintf("%3d:%04.1f", int(d.Minutes()), (d % time.Minute).Seconds())
}

func progressBar(n, of int64, width int) string {
	full := 0
	if of > 0 {
		full = min(width, int(n*int64(width)/of))
	}
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}
