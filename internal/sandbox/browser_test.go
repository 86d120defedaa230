package sandbox

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/programtest"
)

// browser opens a headless Chromium with a fresh profile and fails the test for every error
// that the page logs.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := programtest.Find(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(1280, 860), chromedp.Flag("lang", "es-AR"),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as this context
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	watch, stop := context.WithCancel(ctx)
	complaints := chromedp.Console(watch)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for m, err := range complaints {
			if err != nil {
				return
			}
			if text := fmt.Sprint(m); strings.Contains(text, "409 (Conflict)") {
				continue // a refusal by the API, on purpose
			} else if strings.Contains(strings.ToLower(text), "error") || strings.Contains(text, "Refused") {
				t.Errorf("the page complains: %s", text)
			}
		}
	}()
	t.Cleanup(func() { stop(); <-watched })
	ctx, cancel = context.WithTimeout(ctx, 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) { //nolint:revive // a test helper names t first
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func see(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(chromedp.CSS(selector))
}

// says waits until an element's text contains part.
func says(t *testing.T, ctx context.Context, selector, part string) { //nolint:revive // a test helper names t first
	t.Helper()
	text := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if text = said(t, ctx, selector); strings.Contains(text, part) {
			return
		}
	}
	t.Fatalf("%s never said %q, but %q", selector, part, text)
}

// said returns the text of an element in one step: the page redraws its parts, and a node
// found before may be gone.
func said(t *testing.T, ctx context.Context, selector string) string { //nolint:revive // a test helper names t first
	t.Helper()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q)?.textContent ?? ''", selector)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPage(t *testing.T) {
	b := newFakeRouter(t, Options{Pace: 0.2})
	ctx := browser(t)
	do(t, ctx, chromedp.Navigate(b.url+"/sandbox"), see(".note .hint"))

	// A person types, sees the ticks turn blue, and receives a list.
	do(t, ctx,
		chromedp.SendKeys(chromedp.CSS("#text"), "hola"+kb.Enter),
		see(`.b.person .t-read`),
		see(`.b.business .foot button`),
	)
	first := b.next()
	if got := first.message["text"]; !cmp.Equal(got, map[string]any{"body": "hola"}) {
		t.Errorf("the webhook got %v", first.message)
	}
	// The list opens by keyboard, and the focused row is tapped by keyboard.
	do(t, ctx,
		chromedp.Focus(chromedp.CSS(".b.business .foot button")),
		chromedp.KeyEvent(kb.Enter),
		see("#sheet .option"),
		chromedp.KeyEvent(kb.ArrowDown),
		chromedp.KeyEvent(kb.ArrowUp),
		chromedp.KeyEvent(kb.Enter),
		see(`.b.person.k-interactive`),
	)
	var tapped arrived
	for tapped.message == nil || tapped.message["type"] != "interactive" {
		tapped = b.next()
	}
	wantReply := map[string]any{"type": "list_reply", "list_reply": map[string]any{
		"id": "m:principal:1", "title": "Administración", "description": "Pagos, facturas y constancias",
	}}
	if diff := cmp.Diff(wantReply, tapped.message["interactive"]); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	list := b.SentTo("5491155550001")[0]
	if diff := cmp.Diff(map[string]any{"from": testNumber, "id": list.ID}, tapped.message["context"]); diff != "" {
		t.Errorf("context (-want +got):\n%s", diff)
	}

	// The panel shows the reasons in words, the state, the ticket and the ticks.
	do(t, ctx, see(".state.s-handed_off"), see("#why li.r-first_contact"), see("#why li.r-handed_off"), see(`#why .reply[data-status="read"]`))
	if why := strings.TrimSpace(said(t, ctx, "#why li.r-handed_off .reason")); !strings.HasPrefix(why, "Eligió una opción") {
		t.Errorf("reason %q, want its sentence", why)
	}
	if status := said(t, ctx, "#status"); !strings.Contains(status, "PSI-2026-000123") {
		t.Errorf("the state shows no ticket: %q", status)
	}
	// The first attempt does not end at the hand-off.
	do(t, ctx, chromedp.Click(chromedp.CSS("#close")), see(".state.s-closed"), chromedp.Click(chromedp.CSS("#reset")), see(".state.s-menu"))
	// At the desk a team member answers by keyboard and hands over.
	do(t, ctx,
		chromedp.SendKeys(chromedp.CSS("#deskText"), "Hola, soy Ana"+kb.Enter),
		see("#why li.by-agent"), see(".state.s-handed_off"),
		chromedp.SendKeys(chromedp.CSS("#deskText"), "cerrada"+kb.Enter),
	)
	says(t, ctx, "#toast", "plantilla")
	if kept, err := chromedp.Run(ctx, chromedp.Value(chromedp.CSS("#deskText"))); err != nil || strings.TrimSpace(kept) != "cerrada" {
		t.Errorf("what was refused is gone: %q, %v", kept, err)
	}
	if sent := b.SentTo("5491155550001"); len(sent) == 0 || sent[len(sent)-1].Text != "Hola, soy Ana" {
		t.Errorf("the phone did not get it: %+v", sent)
	}
	do(t, ctx,
		chromedp.SetValue(chromedp.CSS("#deskArea"), "ventas"),
		chromedp.Evaluate[chromedp.Void](`document.getElementById("deskArea").dispatchEvent(new Event("change"))`),
		chromedp.Click(chromedp.CSS("#deskHand:not(:disabled)")),
	)
	says(t, ctx, "#status dl", "ventas")
	b.mu.Lock()
	if diff := cmp.Diff([]string{"close", "reset", "handoff"}, b.commands); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	b.mu.Unlock()
}
