package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PostOptions configure a Post.
type PostOptions struct {
	File          []byte
	URL           string
	AppSecret     string // "" posts without Meta's signature
	PhoneNumberID string // "" leaves the one in the file
	// KeepID and KeepTime leave message ids and times unchanged.
	KeepID   bool
	KeepTime bool
	// Raw posts the bytes unchanged.
	Raw    bool
	Header http.Header // more headers, such as X-Webhook-Secret
	Now    func() time.Time
}

// PostResult is the webhook's answer and the body posted.
type PostResult struct {
	Code   int
	Answer []byte
	Body   []byte
	IDs    []string // of the messages in it, after freshening
}

// Post freshens a webhook payload of any shape, signs it and posts it. Bytes
// that are not JSON are posted as they are.
func Post(ctx context.Context, o PostOptions) (PostResult, error) {
	if o.URL == "" {
		return PostResult{}, errors.New("post payload: no URL")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	res := PostResult{Body: o.File}
	if !o.Raw {
		res.Body, res.IDs = freshen(o)
	}
	var err error
	res.Code, res.Answer, err = postSigned(ctx, &http.Client{Timeout: 30 * time.Second}, o.URL, o.AppSecret, o.Header, res.Body)
	if err != nil {
		return res, fmt.Errorf("post payload: %w", err)
	}
	return res, nil
}

// freshen moves the newest time in the payload to now and the others with it, gives
// messages new ids everywhere they are mentioned, and sets the line.
func freshen(o PostOptions) ([]byte, []string) {
	dec := json.NewDecoder(bytes.NewReader(o.File))
	dec.UseNumber() // template ids exceed 2^53
	var payload any
	if err := dec.Decode(&payload); err != nil {
		return o.File, nil
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return o.File, nil
	}
	f := freshener{o: o, ids: map[string]string{}}
	f.survey(payload)
	f.shift = o.Now().Unix() - f.newest
	return asMeta(marshalPlain(f.rewrite("", payload))), f.order
}

type freshener struct {
	o      PostOptions
	newest int64 // Unix seconds
	shift  int64
	ids    map[string]string
	order  []string
}

// survey finds the newest time and the messages' ids.
func (f *freshener) survey(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			f.survey(e)
		}
	case map[string]any:
		for name, e := range v {
			if isTime(name) {
				if t, _, ok := unix(e); ok {
					f.newest = max(f.newest, t)
				}
			}
			f.survey(e)
		}
		if id := messageID(v); id != "" {
			if _, seen := f.ids[id]; seen {
				return
			}
			f.ids[id] = id
			if !f.o.KeepID {
				f.ids[id] = freshID(id)
			}
			f.order = append(f.order, f.ids[id])
		}
	}
}

func (f *freshener) rewrite(name string, v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = f.rewrite("", v[i])
		}
		return v
	case map[string]any:
		for key := range v {
			v[key] = f.rewrite(key, v[key])
		}
		return v
	case string:
		if fresh, ok := f.ids[v]; ok {
			return fresh
		}
		if name == "phone_number_id" && f.o.PhoneNumberID != "" {
			return f.o.PhoneNumberID
		}
	}
	if (isTime(name) || name == "expiration_timestamp") && !f.o.KeepTime && f.newest > 0 {
		return f.move(v)
	}
	return v
}

func (f *freshener) move(v any) any {
	t, unit, ok := unix(v)
	if !ok {
		return v
	}
	moved := strconv.FormatInt((t+f.shift)*unit, 10)
	if _, text := v.(string); text {
		return moved
	}
	return json.Number(moved)
}

func isTime(name string) bool {
	return name == "timestamp" || name == "time" || name == "messageTimestamp"
}

// unix parses a time in seconds; unit is 1000 if it was written in milliseconds.
func unix(v any) (t, unit int64, ok bool) {
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	default:
		return 0, 0, false
	}
	t, err := strconv.ParseInt(text, 10, 64)
	if err != nil || t <= 0 {
		return 0, 0, false
	}
	if t >= 1e12 {
		return t / 1000, 1000, true
	}
	return t, 1, true
}

// messageID returns the id of an object that is a message in one of the shapes that routers
// receive: Meta's, the flat ones, Evolution's key. Statuses name messages of the business
// and stay unchanged.
func messageID(v map[string]any) string {
	if _, status := v["status"].(string); status && v["remoteJid"] == nil {
		return ""
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { _, ok := v[name]; return ok })
	}
	if !has("from", "from_user_id", "to", "remoteJid", "telefono", "phone") {
		return ""
	}
	for _, name := range []string{"id", "whatsapp_message_id", "messageId", "message_id"} {
		id, _ := v[name].(string)
		if id == "" {
			continue
		}
		if has("timestamp", "type", "remoteJid", "text", "message", "mensaje", "contenido") {
			return id
		}
	}
	return ""
}

// freshID keeps the kind of the id: a wamid becomes a wamid, any other id one as other
// WhatsApp clients make them.
func freshID(old string) string {
	if strings.HasPrefix(old, "wamid.") {
		return wamid("5491100000000", true)
	}
	var random [9]byte
	_, _ = rand.Read(random[:]) // never fails, see crypto/rand
	return "3EB0" + strings.ToUpper(hex.EncodeToString(random[:]))
}
