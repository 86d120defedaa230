package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func get(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestPageIsComplete(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{APIBase: "/api/v1", APIKey: "sandbox", BusinessName: `</script><b>"PSI"`})
	for _, path := range []string{"/sandbox", "/sandbox/"} {
		resp, body := get(t, s.url+path)
		if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "script-src 'self';") {
			t.Errorf("%s: HTTP %d, CSP %q", path, resp.StatusCode, resp.Header.Get("Content-Security-Policy"))
		}
		if strings.Contains(body, "</script><b>") {
			t.Errorf("%s: the name of the business is markup", path)
		}
		_, rest, _ := strings.Cut(body, `id="config">`)
		config, _, _ := strings.Cut(rest, "</script>")
		var got struct{ API, Key, Business string }
		if err := json.Unmarshal([]byte(config), &got); err != nil {
			t.Errorf("config %s: %v", config, err)
		}
		if got.API != "/api/v1" || got.Key != "sandbox" || got.Business != `</script><b>"PSI"` {
			t.Errorf("config = %+v", got)
		}
		for _, part := range strings.Split(body, `"/sandbox/assets/`)[1:] {
			name, _, _ := strings.Cut(part, `"`)
			if resp, _ := get(t, s.url+"/sandbox/assets/"+name); resp.StatusCode != http.StatusOK {
				t.Errorf("asset %s: HTTP %d", name, resp.StatusCode)
			}
		}
	}
	if resp, _ := get(t, s.url+"/sandbox/assets/index.html"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the template is served raw: HTTP %d", resp.StatusCode)
	}
}

func TestOtherOriginsMayNotAct(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/sandbox/phones/ana/messages", strings.NewReader(`{"type":"text","text":"hola"}`))
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("HTTP %d, want 403", resp.StatusCode)
	}
}

func TestAnotherPhone(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true})
	status, got := s.do(http.MethodPost, "/sandbox/phones", "", []byte(`{"phone":"+54 9 11 5555-0005","name":"Elena"}`))
	want := map[string]any{"id": "5491155550005", "name": "Elena", "phone": "5491155550005", "unread": 0.0}
	if diff := cmp.Diff(want, got); status != http.StatusCreated || diff != "" {
		t.Errorf("HTTP %d (-want +got):\n%s", status, diff)
	}
	// A send without the mobile 9 reaches the same phone, and WhatsApp answers with the
	// number as it knows it.
	_, sent := s.send(text("541155550005", "hola"))
	contact := sent["contacts"].([]any)[0]
	if diff := cmp.Diff(map[string]any{"input": "541155550005", "wa_id": "5491155550005"}, contact); diff != "" {
		t.Errorf("contact (-want +got):\n%s", diff)
	}
	_, phone := s.do(http.MethodGet, "/sandbox/phones/5491155550005", "", nil)
	if n := len(phone["messages"].([]any)); n != 1 {
		t.Errorf("the phone holds %d messages, want 1", n)
	}
	if status, _ := s.do(http.MethodPost, "/sandbox/phones", "", []byte(`{"phone":"12"}`)); status != http.StatusBadRequest {
		t.Errorf("a number of two digits: HTTP %d, want 400", status)
	}
}

func TestPhonesAreBounded(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true})
	for i := range 2 * maxPhones {
		s.send(text("5491155560"+string(rune('0'+i/100))+string(rune('0'+i/10%10))+string(rune('0'+i%10)), "hola"))
	}
	for range 2 * maxMessages {
		s.send(text("5491155550001", "hola"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phones.mu.Lock()
	defer s.phones.mu.Unlock()
	if got, most := len(s.order), maxPhones+4; got > most || len(s.byID) > most {
		t.Errorf("%d phones, want %d at most", got, most)
	}
	ana := s.byID["ana"]
	if len(ana.messages) != maxMessages || len(ana.byID) != maxMessages {
		t.Errorf("%d messages and %d ids, want %d", len(ana.messages), len(ana.byID), maxMessages)
	}
}

func TestMediaBothWays(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	s := newHarness(t, Options{NoStatuses: true, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})

	// A person sends a picture: the webhook names it, the Graph API gives its URL, and the
	// download needs the token and an unexpired URL.
	status, _ := s.do(http.MethodPost, "/sandbox/phones/ana/messages", "", []byte(`{"type":"media","sample":"image","text":"comprobante"}`))
	if status != http.StatusAccepted {
		t.Fatalf("sample: HTTP %d", status)
	}
	image := s.next().message["image"].(map[string]any)
	id := image["id"].(string)
	_, node := s.do(http.MethodGet, "/sandbox/graph/v26.0/"+id+"?phone_number_id="+testPhoneNumberID, testToken, nil)
	address := node["url"].(string)
	if image["caption"] != "comprobante" || node["mime_type"] != "image/jpeg" || node["file_size"] == "0" {
		t.Errorf("image %v, node %v", image, node)
	}
	shape := map[string]any{}
	if err := json.Unmarshal(fixture(t, "media_get_url_response"), &shape); err != nil {
		t.Fatal(err)
	}
	for key := range shape {
		if node[key] == nil {
			t.Errorf("the media node has no %s", key)
		}
	}
	fetch := func(address, token string) (int, []byte) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, data
	}
	status, data := fetch(address, testToken)
	sum := sha256.Sum256(data)
	if status != http.StatusOK || node["sha256"] != hex.EncodeToString(sum[:]) || image["sha256"] != base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("HTTP %d, %d bytes, hashes %v and %v", status, len(data), node["sha256"], image["sha256"])
	}
	if code, _ := fetch(image["url"].(string), testToken); code != http.StatusOK {
		t.Errorf("the webhook's own URL: HTTP %d", code)
	}
	if code, _ := fetch(address, "otro"); code != http.StatusUnauthorized {
		t.Errorf("without the token: HTTP %d, want 401", code)
	}
	if code, _ := fetch(strings.Replace(address, "hash=", "hash=0", 1), testToken); code != http.StatusNotFound {
		t.Errorf("forged URL: HTTP %d, want 404", code)
	}
	if page, _ := get(t, s.url+"/sandbox/files/"+url.PathEscape(id)); page.StatusCode != http.StatusOK || page.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("on the page: HTTP %d", page.StatusCode)
	}
	later.Store(int64(5*time.Minute + time.Second))
	if code, _ := fetch(address, testToken); code != http.StatusNotFound {
		t.Errorf("after 5 minutes: HTTP %d, want 404", code)
	}

	// The business uploads, sends and deletes.
	up := func(kind, product string) (int, map[string]any) {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		_ = form.WriteField("messaging_product", product)
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition", `form-data; name="file"; filename="programa"`)
		header.Set("Content-Type", kind)
		part, _ := form.CreatePart(header)
		_, _ = part.Write([]byte("%PDF-1.4"))
		form.Close()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/sandbox/graph/v26.0/"+testPhoneNumberID+"/media", &b)
		req.Header.Set("Content-Type", form.FormDataContentType())
		req.Header.Set("Authorization", "Bearer "+testToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer map[string]any
		_ = json.NewDecoder(resp.Body).Decode(&answer)
		return resp.StatusCode, answer
	}
	if status, answer := up("text/html", "whatsapp"); status != http.StatusBadRequest || answer["error"] == nil {
		t.Errorf("upload of a page: HTTP %d %v", status, answer)
	}
	if status, _ := up("application/pdf", ""); status != http.StatusBadRequest {
		t.Errorf("upload without product: HTTP %d", status)
	}
	_, answer := up("application/pdf", "whatsapp")
	mine := answer["id"].(string)
	document := map[string]any{"messaging_product": "whatsapp", "to": "5491155550001", "type": "document", "document": map[string]any{"id": mine, "filename": "programa.pdf"}}
	if status, answer := s.send(document); status != http.StatusOK {
		t.Errorf("send by id: HTTP %d %v", status, answer)
	}
	if resp, _ := get(t, s.url+"/sandbox/files/"+mine); !strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment") {
		t.Error("a document is shown on the page's own origin, want a download")
	}
	if status, _ := s.do(http.MethodDelete, "/sandbox/graph/v26.0/"+mine, testToken, nil); status != http.StatusOK {
		t.Errorf("delete: HTTP %d", status)
	}
	if status, answer := s.send(document); code(answer) != 100 {
		t.Errorf("send after delete: HTTP %d %v", status, answer)
	}
}

// A remote API is called through the sandbox, with the sandbox's key.
func TestAPIElsewhere(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"path": r.URL.RequestURI(), "key": r.Header.Get("Authorization")})
	}))
	t.Cleanup(api.Close)
	s := newHarness(t, Options{APIBase: api.URL + "/api/v1", APIKey: "secreta"})
	_, got := s.do(http.MethodGet, "/sandbox/api/conversations?phone=1", "", nil)
	if diff := cmp.Diff(map[string]any{"path": "/api/v1/conversations?phone=1", "key": "Bearer secreta"}, got); diff != "" {
		t.Errorf("the API was asked (-want +got):\n%s", diff)
	}
	if _, body := get(t, s.url+"/sandbox"); strings.Contains(body, "secreta") {
		t.Error("the page carries the key of an API elsewhere")
	}
}
