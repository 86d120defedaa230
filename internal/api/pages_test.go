package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/store"
)

// large is an event of a line with n bytes of data.
func large(pos, n int, line string) store.Event {
	data := fmt.Sprintf(`{"conversation":{"id":"c","line":%q,"area":""},"message":{"text":%q}}`, line, strings.Repeat("a", n))
	return store.Event{ID: fmt.Sprint("e", pos), Conversation: "c", Type: "message.received", Seq: int64(pos), Pos: int64(pos), Data: []byte(data), CreatedAt: at(1)}
}

// TestPagesOfEventsAreBounded: by bytes as well as by number, with at least one event. A
// reader that goes by the cursor reads each event once, also with a key that sees only a
// few.
func TestPagesOfEventsAreBounded(t *testing.T) {
	t.Parallel()
	w := sampleStore()
	w.events = nil
	var shops []int
	for i, size := range []int{10, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 10, 9 << 20, 10, 3 << 20, 3 << 20, 3 << 20, 10} {
		line := "wsp4"
		if i%4 == 3 {
			line, shops = "ventas", append(shops, i+1)
		}
		w.events = append(w.events, large(i+1, size, line))
	}
	h := serve(t, api.Options{Store: w})
	for key, want := range map[string][]int{"reader": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, "shop": shops} {
		var got []int
		for after, pages := int64(0), 1; ; pages++ {
			a := ask(t, h, key, "GET /events?limit=200&after="+strconv.FormatInt(after, 10), "")
			var page struct {
				Items []struct {
					Pos  int
					Data json.RawMessage
				}
				NextCursor *string `json:"next_cursor"`
				Pos        int64
			}
			if err := json.Unmarshal([]byte(a.body), &page); a.status != http.StatusOK || err != nil {
				t.Fatal(a.status, err)
			}
			size, last := 0, 0
			for _, e := range page.Items {
				got, last, size = append(got, e.Pos), len(e.Data), size+len(e.Data)
			}
			if size-last >= store.MaxEventPageBytes {
				t.Errorf("%s: a page of %d bytes", key, size)
			}
			if page.NextCursor == nil {
				if pages == 1 && key == "reader" {
					t.Errorf("all in one page of %d bytes", size)
				}
				break
			}
			if page.Pos <= after || *page.NextCursor != strconv.FormatInt(page.Pos, 10) {
				t.Fatalf("%s: after %d comes %d, %s", key, after, page.Pos, *page.NextCursor)
			}
			after = page.Pos
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", key, got, want)
		}
	}
}

// TestListsCutLongTexts: a list cuts long texts and says so; a read by id has them whole.
func TestListsCutLongTexts(t *testing.T) {
	t.Parallel()
	w := sampleStore()
	text, name := strings.Repeat("ñ", 64<<10), strings.Repeat("ñ", 1<<10)
	w.messages[0].Text, w.messages[0].Media = text, &store.Media{State: store.MediaReady}
	w.messages[0].Media.Name = name
	w.conversations[0].Contact.Name = name
	w.trace.Messages, w.trace.Conversations = w.messages, w.conversations[:1]
	h := serve(t, api.Options{Store: w})
	const short, whole = `"truncated":true`, `"name":"`
	for request, want := range map[string]string{
		"GET /conversations":             whole + name[:2*store.MaxCopiedName] + `"`,
		"GET /conversations/c1/messages": `"text":"` + text[:2*store.MaxCopiedText] + `"`,
		"GET /conversations/c1":          whole + name + `"`,
		"GET /trace/wamid.a%2Fb==":       `"text":"` + text + `"`,
	} {
		a := ask(t, h, "reader", request, "")
		listed := strings.HasSuffix(request, "s")
		if a.status != http.StatusOK || !strings.Contains(a.body, want) || strings.Count(a.body, short) != map[bool]int{true: 1}[listed] {
			t.Errorf("%s: %d, %d bytes, %d truncated", request, a.status, len(a.body), strings.Count(a.body, short))
		}
	}
}
