package evolution_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/inbound"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func decode(t testing.TB, body string) []inbound.Arrival {
	t.Helper()
	arrivals, err := evolution.Decode([]byte(body))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, a := range arrivals {
		if a.Provider != "evolution" || a.Shape != "evolution" || !json.Valid(a.Raw) {
			t.Errorf("provider %s, shape %s, raw %s", a.Provider, a.Shape, a.Raw)
		}
	}
	return arrivals
}

func event(name, data string) string {
	return `{"event":"` + name + `","instance":"linea-ventas","data":` + data +
		`,"date_time":"2026-11-23T12:00:00.000Z","sender":"5491100000099@s.whatsapp.net","apikey":null}`
}

func TestFixtures(t *testing.T) {
	t.Parallel()
	ana := inbound.Person{Phone: "5491100000001", Name: "Persona Prueba"}
	hidden := ana
	hidden.ExternalID = "100000000000001@lid"
	at := func(s int64) time.Time { return time.Unix(1795000000+s, 0).UTC() }
	for name, want := range map[string]inbound.Arrival{
		"evo_messages_upsert_text.json": {
			Kind: inbound.Message, ID: "AC00000000000000000000000000AAA1", Person: ana, SentAt: at(0),
			Content: &inbound.Content{Type: "text", Text: "Hola"},
		},
		"evo_messages_upsert_from_me.json": {
			Kind: inbound.Echo, ID: "3EB0000000000000000004", Person: inbound.Person{Phone: "5491100000001"}, SentAt: at(3),
			Content: &inbound.Content{Type: "text", Text: "respuesta manual"},
		},
		"evo_messages_upsert_image_base64.json": {
			Kind: inbound.Message, ID: "3A000000000000000003", Person: hidden, SentAt: at(2),
			Content: &inbound.Content{
				Type: "image", Text: "comprobante",
				Media: &inbound.Media{ID: "3A000000000000000003", MIME: "image/jpeg", Size: 12345, Inline: "/9j/4AAQSkZJRg=="},
			},
		},
	} {
		body := fixture(t, name)
		got := decode(t, string(body))
		if len(got) != 1 || !bytes.Contains(body, got[0].Raw) {
			t.Fatalf("%s: got %+v", name, got)
		}
		got[0].Raw = nil
		want.LineRef, want.Provider, want.Shape = "linea-ventas", "evolution", "evolution"
		if diff := cmp.Diff(got[0], want); diff != "" {
			t.Errorf("%s: got(-) want(+):\n%s", name, diff)
		}
	}
	got := decode(t, string(fixture(t, "evo_connection_update_close.json")))
	if len(got) != 1 || got[0].Kind != inbound.Account || got[0].LineRef != "linea-ventas" {
		t.Errorf("connection: got %+v", got)
	}
}

// TestContent: the content of every kind of message.
func TestContent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		message string
		want    inbound.Content
	}{
		"extended": {
			`{"extendedTextMessage":{"text":"hola","contextInfo":{"stanzaId":"Q1"}}}`,
			inbound.Content{Type: "text", Text: "hola", QuotedID: "Q1"},
		},
		"after keys": {
			`{"senderKeyDistributionMessage":{"x":1},"messageContextInfo":{},"conversation":"hola"}`,
			inbound.Content{Type: "text", Text: "hola"},
		},
		"voice": {
			`{"audioMessage":{"mimetype":"audio/ogg","ptt":true,"fileLength":{"low":77,"high":0}}}`,
			inbound.Content{Type: "audio", Media: &inbound.Media{ID: "M1", MIME: "audio/ogg", Voice: true, Size: 77}},
		},
		"document with caption": {
			`{"documentWithCaptionMessage":{"message":{"documentMessage":{"caption":"recibo","fileName":"r.pdf","mimetype":"application/pdf"}}}}`,
			inbound.Content{Type: "document", Text: "recibo", Media: &inbound.Media{ID: "M1", MIME: "application/pdf", Name: "r.pdf"}},
		},
		"file in storage": {
			`{"videoMessage":{"mimetype":"video/mp4","fileSha256":"SfInY0gGKTsJlUWbwxC1k+FAD0FZHvzwfpvO0zX0GUI="},"mediaUrl":"https://s3.example/v"}`,
			inbound.Content{Type: "video", Media: &inbound.Media{
				ID: "M1", MIME: "video/mp4", URL: "https://s3.example/v",
				SHA256: "49f227634806293b0995459bc310b593e1400f41591efcf07e9bced335f41942",
			}},
		},
		"ephemeral":           {`{"ephemeralMessage":{"message":{"conversation":"hola"}}}`, inbound.Content{Type: "text", Text: "hola"}},
		"sticker":             {`{"stickerMessage":{"mimetype":"image/webp"}}`, inbound.Content{Type: "sticker", Media: &inbound.Media{ID: "M1", MIME: "image/webp"}}},
		"location":            {`{"locationMessage":{"degreesLatitude":-34.6,"degreesLongitude":-58.3,"name":"Obelisco"}}`, inbound.Content{Type: "location", Text: "Obelisco · -34.6,-58.3"}},
		"contact":             {`{"contactMessage":{"displayName":"Ana"}}`, inbound.Content{Type: "contacts", Text: "Ana"}},
		"contacts":            {`{"contactsArrayMessage":{"contacts":[{"displayName":"Ana"},{"displayName":"Eva"}]}}`, inbound.Content{Type: "contacts", Text: "Ana, Eva"}},
		"reaction":            {`{"reactionMessage":{"key":{"id":"T1"},"text":"👍"}}`, inbound.Content{Type: "reaction", TargetID: "T1", Emoji: "👍"}},
		"no reaction":         {`{"reactionMessage":{"key":{"id":"T1"},"text":""}}`, inbound.Content{Type: "reaction", TargetID: "T1"}},
		"button":              {`{"buttonsResponseMessage":{"selectedButtonId":"b1","selectedDisplayText":"Ventas"}}`, inbound.Content{Type: "interactive", Text: "Ventas", ReplyID: "b1"}},
		"list":                {`{"listResponseMessage":{"title":"Ventas","singleSelectReply":{"selectedRowId":"r1"}}}`, inbound.Content{Type: "interactive", Text: "Ventas", ReplyID: "r1"}},
		"template":            {`{"templateButtonReplyMessage":{"selectedId":"t1","selectedDisplayText":"Sí"}}`, inbound.Content{Type: "button", Text: "Sí", ReplyID: "t1"}},
		"vote":                {`{"pollUpdateMessage":{"x":1}}`, inbound.Content{Type: "poll_update"}},
		"pin":                 {`{"pinInChatMessage":{"key":{"id":"A1"},"type":1}}`, inbound.Content{Type: "pin"}},
		"keep":                {`{"keepInChatMessage":{"key":{"id":"A1"}}}`, inbound.Content{Type: "keep_in_chat"}},
		"album":               {`{"albumMessage":{"expectedImageCount":2}}`, inbound.Content{Type: "notice"}},
		"hidden reaction":     {`{"encReactionMessage":{"targetMessageKey":{"id":"A1"}}}`, inbound.Content{Type: "notice"}},
		"mention in a status": {`{"statusMentionMessage":{"message":{"protocolMessage":{"type":25}}}}`, inbound.Content{Type: "notice"}},
		"keys alone":          {`{"senderKeyDistributionMessage":{"x":1},"messageContextInfo":{}}`, inbound.Content{Type: "notice"}},
		"poll":                {`{"pollCreationMessage":{"name":"¿Cuándo?"}}`, inbound.Content{Type: "pollCreationMessage", Text: "¿Cuándo?"}},
		"future":              {`{"holographicMessage":{"x":1}}`, inbound.Content{Type: "holographicMessage"}},
		"empty":               {`{}`, inbound.Content{Type: "unknown"}},
		"none":                {`null`, inbound.Content{Type: "unknown"}},
		"revoke":              {`{"protocolMessage":{"key":{"id":"T1"},"type":"REVOKE"}}`, inbound.Content{Type: "revoke", TargetID: "T1"}},
		"edit": {
			`{"editedMessage":{"message":{"protocolMessage":{"key":{"id":"T1"},"type":"MESSAGE_EDIT","editedMessage":{"conversation":"mejor"}}}}}`,
			inbound.Content{Type: "edit", TargetID: "T1", Text: "mejor"},
		},
		"picture of an album in a disappearing chat": {
			`{"ephemeralMessage":{"message":{"associatedChildMessage":{"message":{"imageMessage":{"caption":"recibo","mimetype":"image/jpeg","contextInfo":{"stanzaId":"Q1"}},"messageContextInfo":{"x":1}}}}}}`,
			inbound.Content{Type: "image", Text: "recibo", QuotedID: "Q1", Media: &inbound.Media{ID: "M1", MIME: "image/jpeg"}},
		},
		"document with caption in a disappearing chat": {
			`{"ephemeralMessage":{"message":{"documentWithCaptionMessage":{"message":{"documentMessage":{"caption":"pago","mimetype":"application/pdf"}}}}}}`,
			inbound.Content{Type: "document", Text: "pago", Media: &inbound.Media{ID: "M1", MIME: "application/pdf"}},
		},
		"from another device, view once": {
			`{"deviceSentMessage":{"destinationJid":"x","message":{"viewOnceMessageV2":{"message":{"videoMessage":{"caption":"mirá"}}}}}}`,
			inbound.Content{Type: "video", Text: "mirá", Media: &inbound.Media{ID: "M1"}},
		},
		"a wrapper of tomorrow": {
			`{"messageContextInfo":{},"hologramWrapper":{"message":{"botInvokeMessage":{"message":{"extendedTextMessage":{"text":"hola"}}}}}}`,
			inbound.Content{Type: "text", Text: "hola"},
		},
		"wrapped setting": {`{"ephemeralMessage":{"message":{"protocolMessage":{"type":3}}}}`, inbound.Content{Type: "protocol"}},
		"edit of a caption, wrapped": {
			`{"editedMessage":{"message":{"ephemeralMessage":{"message":{"protocolMessage":{"key":{"id":"T1"},"type":14,"editedMessage":{"documentWithCaptionMessage":{"message":{"documentMessage":{"caption":"mejor"}}}}}}}}}}`,
			inbound.Content{Type: "edit", TargetID: "T1", Text: "mejor", Media: &inbound.Media{ID: "T1"}},
		},
		"edit with a quote": {
			`{"protocolMessage":{"key":{"id":"T1"},"type":14,"editedMessage":{"extendedTextMessage":{"text":"mejor","contextInfo":{"stanzaId":"Q1"}}}}}`,
			inbound.Content{Type: "edit", TargetID: "T1", Text: "mejor", QuotedID: "Q1"},
		},
		"edit, the new text alone":    {`{"editedMessage":{"message":{"conversation":"nuevo"}}}`, inbound.Content{Type: "edit", TargetID: "M1", Text: "nuevo"}},
		"edit, the new caption alone": {`{"editedMessage":{"message":{"imageMessage":{"caption":"nuevo"}}}}`, inbound.Content{Type: "edit", TargetID: "M1", Text: "nuevo", Media: &inbound.Media{ID: "M1"}}},
		"a null beside a wrapper":     {`{"imageMessage":null,"ephemeralMessage":{"message":{"conversation":"hola"}}}`, inbound.Content{Type: "text", Text: "hola"}},
		"a null gesture":              {`{"pinInChatMessage":null,"albumMessage":null,"viewOnceMessage":{"message":{"conversation":"hola"}}}`, inbound.Content{Type: "text", Text: "hola"}},
		"payment with a note":         {`{"sendPaymentMessage":{"noteMessage":{"extendedTextMessage":{"text":"la cuota","contextInfo":{"stanzaId":"Q1"}}},"requestMessageKey":{"id":"X"}}}`, inbound.Content{Type: "text", Text: "la cuota", QuotedID: "Q1"}},
		"request with a note":         {`{"requestPaymentMessage":{"noteMessage":{"conversation":"me debés"},"amount1000":5}}`, inbound.Content{Type: "text", Text: "me debés"}},
		"payment without a note":      {`{"sendPaymentMessage":{"noteMessage":{},"requestMessageKey":{"id":"X"}}}`, inbound.Content{Type: "sendPaymentMessage"}},
		"no to a payment":             {`{"declinePaymentRequestMessage":{"key":{"id":"A1"}}}`, inbound.Content{Type: "notice"}},
		"a payment taken back":        {`{"cancelPaymentRequestMessage":{"key":{"id":"A1"}}}`, inbound.Content{Type: "notice"}},
		"asked for the phone":         {`{"requestPhoneNumberMessage":{"contextInfo":{}}}`, inbound.Content{Type: "notice"}},
		"answer to a question":        {`{"questionResponseMessage":{"key":{"id":"A1"},"text":"azul"}}`, inbound.Content{Type: "text", Text: "azul"}},
		"quoted status":               {`{"statusQuotedMessage":{"text":"azul","originalStatusId":{"id":"A1"}}}`, inbound.Content{Type: "text", Text: "azul"}},
		"invitation":                  {`{"groupInviteMessage":{"groupName":"4to B","caption":"sumate","contextInfo":{"stanzaId":"Q1"}}}`, inbound.Content{Type: "groupInviteMessage", Text: "sumate", QuotedID: "Q1"}},
		"pack of stickers":            {`{"stickerPackMessage":{"name":"gatos","caption":"mirá"}}`, inbound.Content{Type: "stickerPackMessage", Text: "mirá"}},
		"product":                     {`{"productMessage":{"product":{"title":"Curso"},"body":"¿hay cupo?","contextInfo":{"stanzaId":"Q1"}}}`, inbound.Content{Type: "productMessage", Text: "¿hay cupo?", QuotedID: "Q1"}},
		"product without words":       {`{"productMessage":{"product":{"title":"Curso"}}}`, inbound.Content{Type: "productMessage", Text: "Curso"}},
		"interactive": {
			`{"interactiveMessage":{"header":{"title":"PSI","imageMessage":{"mimetype":"image/png"}},"body":{"text":"elegí"},"contextInfo":{"stanzaId":"Q1"}}}`,
			inbound.Content{Type: "interactiveMessage", Text: "elegí", QuotedID: "Q1", Media: &inbound.Media{ID: "M1", MIME: "image/png"}},
		},
		"buttons": {
			`{"buttonsMessage":{"imageMessage":{"mimetype":"image/png"},"contentText":"elegí","contextInfo":{"quotedMessage":{"videoMessage":{"mimetype":"video/mp4"}}}}}`,
			inbound.Content{Type: "buttonsMessage", Text: "elegí", Media: &inbound.Media{ID: "M1", MIME: "image/png"}},
		},
		"a template":            {`{"templateMessage":{"hydratedTemplate":{"hydratedContentText":"hola","documentMessage":{"fileName":"a.pdf"}}}}`, inbound.Content{Type: "templateMessage", Text: "hola", Media: &inbound.Media{ID: "M1", Name: "a.pdf"}}},
		"an older template":     {`{"templateMessage":{"hydratedFourRowTemplate":{"hydratedContentText":"hola"}}}`, inbound.Content{Type: "templateMessage", Text: "hola"}},
		"the oldest template":   {`{"highlyStructuredMessage":{"hydratedHsm":{"hydratedTemplate":{"hydratedContentText":"hola"}}}}`, inbound.Content{Type: "highlyStructuredMessage", Text: "hola"}},
		"a list to choose from": {`{"listMessage":{"title":"PSI","description":"elegí"}}`, inbound.Content{Type: "listMessage", Text: "elegí"}},
		"event":                 {`{"eventMessage":{"name":"Acto","startTime":1}}`, inbound.Content{Type: "eventMessage", Text: "Acto"}},
		"poll, third version":   {`{"pollCreationMessageV3":{"name":"¿Cuándo?","contextInfo":{"stanzaId":"Q1"}}}`, inbound.Content{Type: "pollCreationMessageV3", Text: "¿Cuándo?", QuotedID: "Q1"}},
		"poll, fourth version":  {`{"pollCreationMessageV4":{"message":{"pollCreationMessage":{"name":"¿Cuándo?"}}}}`, inbound.Content{Type: "pollCreationMessage", Text: "¿Cuándo?"}},
		"a call planned":        {`{"scheduledCallCreationMessage":{"title":"entrevista"}}`, inbound.Content{Type: "scheduledCallCreationMessage", Text: "entrevista"}},
		"invoice":               {`{"invoiceMessage":{"note":"noviembre"}}`, inbound.Content{Type: "invoiceMessage", Text: "noviembre"}},
		"an assistant's answer": {`{"botForwardedMessage":{"message":{"richResponseMessage":{"submessages":[{"messageText":"uno"},{"messageType":2},{"messageText":"dos"}]}}}}`, inbound.Content{Type: "richResponseMessage", Text: "uno\ndos"}},
		"where somebody is now": {`{"liveLocationMessage":{"degreesLatitude":-34.6,"degreesLongitude":-58.3,"caption":"llegando"}}`, inbound.Content{Type: "location", Text: "llegando · -34.6,-58.3"}},
		"quote of tomorrow":     {`{"holographicMessage":{"contextInfo":{"stanzaId":"Q1"}}}`, inbound.Content{Type: "holographicMessage", QuotedID: "Q1"}},
		"native button": {
			`{"interactiveResponseMessage":{"body":{"text":"Sí"},"nativeFlowResponseMessage":{"name":"quick_reply","paramsJson":"{\"id\":\"x\"}"}}}`,
			inbound.Content{Type: "interactive", Text: "Sí", ReplyID: "x"},
		},
		"native row": {
			`{"interactiveResponseMessage":{"nativeFlowResponseMessage":{"name":"single_select","paramsJson":"{\"id\":\"r1\",\"title\":\"Ventas\"}"}}}`,
			inbound.Content{Type: "interactive", Text: "Ventas", ReplyID: "r1"},
		},
		"form that asks for an id": {
			`{"interactiveResponseMessage":{"body":{"text":"Sent"},"nativeFlowResponseMessage":{"name":"flow","paramsJson":"{\"id\":\"30111222\"}"}}}`,
			inbound.Content{Type: "interactive", Text: "Sent\nid: 30111222", Form: true},
		},
		"native answer without an id": {
			`{"interactiveResponseMessage":{"body":{"text":"Listo"},"nativeFlowResponseMessage":{"name":"address_message","paramsJson":"{\"calle\":\"Mitre\"}"}}}`,
			inbound.Content{Type: "interactive", Text: "Listo\ncalle: Mitre", Form: true},
		},
		// As whatsmeow spells it.
		"quote, spelled otherwise":    {`{"extendedTextMessage":{"text":"hola","contextInfo":{"stanzaID":"Q1"}}}`, inbound.Content{Type: "text", Text: "hola", QuotedID: "Q1"}},
		"reaction, spelled otherwise": {`{"reactionMessage":{"key":{"remoteJID":"1@s.whatsapp.net","ID":"T1"},"text":"👍"}}`, inbound.Content{Type: "reaction", TargetID: "T1", Emoji: "👍"}},
		"revoke, spelled otherwise":   {`{"protocolMessage":{"key":{"ID":"T1"},"type":0}}`, inbound.Content{Type: "revoke", TargetID: "T1"}},
		"edit, spelled otherwise":     {`{"protocolMessage":{"key":{"ID":"T1"},"type":14,"editedMessage":{"conversation":"mejor"}}}`, inbound.Content{Type: "edit", TargetID: "T1", Text: "mejor"}},
		"row, spelled otherwise":      {`{"listResponseMessage":{"title":"Ventas","singleSelectReply":{"selectedRowID":"r1"}}}`, inbound.Content{Type: "interactive", Text: "Ventas", ReplyID: "r1"}},
		"button, spelled otherwise":   {`{"buttonsResponseMessage":{"selectedButtonID":"b1","Response":{"SelectedDisplayText":"Ventas"}}}`, inbound.Content{Type: "interactive", Text: "Ventas", ReplyID: "b1"}},
		"template, spelled otherwise": {`{"templateButtonReplyMessage":{"selectedID":"t1","selectedDisplayText":"Sí"}}`, inbound.Content{Type: "button", Text: "Sí", ReplyID: "t1"}},
		"native, spelled otherwise": {
			`{"interactiveResponseMessage":{"body":{"text":"Sí"},"InteractiveResponseMessage":{"NativeFlowResponseMessage":{"name":"quick_reply","paramsJSON":"{\"id\":\"x\"}"}}}}`,
			inbound.Content{Type: "interactive", Text: "Sí", ReplyID: "x"},
		},
		"header, spelled otherwise": {
			`{"interactiveMessage":{"header":{"title":"PSI","Media":{"ImageMessage":{"mimetype":"image/png"}}},"body":{"text":"elegí"}}}`,
			inbound.Content{Type: "interactiveMessage", Text: "elegí", Media: &inbound.Media{ID: "M1", MIME: "image/png"}},
		},
		"voice, spelled otherwise": {
			`{"audioMessage":{"mimetype":"audio/ogg","PTT":true,"fileLength":77,"fileSHA256":"SfInY0gGKTsJlUWbwxC1k+FAD0FZHvzwfpvO0zX0GUI="}}`,
			inbound.Content{Type: "audio", Media: &inbound.Media{ID: "M1", MIME: "audio/ogg", Voice: true, Size: 77, SHA256: "49f227634806293b0995459bc310b593e1400f41591efcf07e9bced335f41942"}},
		},
		"settings": {`{"protocolMessage":{"type":"EPHEMERAL_SETTING"}}`, inbound.Content{Type: "protocol"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, event("messages.upsert", `{"key":{"remoteJid":"5491100000001@s.whatsapp.net","fromMe":false,"id":"M1"},"message":`+test.message+`}`))
			if got[0].Content == nil {
				t.Fatalf("got %+v", got[0])
			}
			if diff := cmp.Diff(*got[0].Content, test.want); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
		})
	}
}

// TestWho: a hidden id is never a phone, and our own side is never the contact.
func TestWho(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		key  string
		want string
	}{
		"phone":             {`"remoteJid":"5491100000001@s.whatsapp.net"`, "message 5491100000001// "},
		"device":            {`"remoteJid":"5491100000001:12@s.whatsapp.net"`, "message 5491100000001// "},
		"old suffix":        {`"remoteJid":"5491100000001@c.us"`, "message 5491100000001// "},
		"hidden with phone": {`"remoteJid":"77@lid","remoteJidAlt":"5491100000001@s.whatsapp.net"`, "message 5491100000001/77@lid/ "},
		"hidden, older":     {`"remoteJid":"77@lid","senderPn":"5491100000001@s.whatsapp.net"`, "message 5491100000001/77@lid/ "},
		"hidden alone":      {`"remoteJid":"77@lid"`, "message /77@lid/ "},
		"alt is hidden too": {`"remoteJid":"5491100000001@s.whatsapp.net","remoteJidAlt":"77@lid"`, "message 5491100000001/77@lid/ "},
		"group":             {`"remoteJid":"123-4@g.us","participant":"5491100000001@s.whatsapp.net"`, "message 5491100000001//123-4@g.us group"},
		"group, hidden":     {`"remoteJid":"1@g.us","participant":"77@lid","participantAlt":"5491100000001@s.whatsapp.net"`, "message 5491100000001/77@lid/1@g.us group"},
		"story":             {`"remoteJid":"status@broadcast","participant":"5491100000001@s.whatsapp.net"`, "message 5491100000001//status@broadcast group"},
		"ours":              {`"remoteJid":"5491100000001@s.whatsapp.net","fromMe":true`, "echo 5491100000001// "},
		"note to oneself":   {`"remoteJid":"5491100000099@s.whatsapp.net","fromMe":true`, "echo 5491100000099// invalid"},
		"own number":        {`"remoteJid":"5491100000099@s.whatsapp.net"`, "message 5491100000099// invalid"},
		"nobody":            {`"x":1`, "unknown //- invalid"},
		"a bare number":     {`"remoteJid":7`, "message 7// "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := decode(t, event("messages.upsert", `{"key":{"id":"M1",`+test.key+`},"pushName":"Ana","message":{"conversation":"x"}}`))[0]
			group := "-"
			if a.Content != nil {
				group = a.Content.Group
			}
			got := fmt.Sprintf("%s %s/%s/%s %s", a.Kind, a.Person.Phone, a.Person.ExternalID, group, a.Quarantine)
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	const message = `{"key":{"remoteJid":"5491100000001@s.whatsapp.net","id":"M1"},"message":{"conversation":"x"}}`
	tests := map[string]struct {
		body string
		want []string
	}{
		"by config name":           {event("MESSAGES_UPSERT", message), []string{"message M1"}},
		"in an array":              {event("messages.upsert", `[`+message+`,7,`+message+`]`), []string{"message M1", "unknown #", "message M1"}},
		"nothing in it":            {event("messages.upsert", `[]`), []string{"account #"}},
		"no data":                  {event("messages.upsert", `null`), []string{"unknown #"}},
		"sent by API":              {event("send.message", message), []string{"echo M1"}},
		"delivered":                {event("messages.update", `{"keyId":"M9","remoteJid":"5491100000001@s.whatsapp.net","fromMe":true,"status":"DELIVERY_ACK"}`), []string{"status M9 delivered"}},
		"older update":             {event("messages.update", `[{"key":{"id":"M9"},"update":{"status":4}}]`), []string{"status M9 read"}},
		"failed":                   {event("messages.update", `{"keyId":"M9","status":"ERROR"}`), []string{"status M9 failed"}},
		"deleted status":           {event("messages.update", `{"keyId":"M9","status":"DELETED"}`), []string{"status M9 deleted"}},
		"edited, raw":              {event("messages.update", `[{"key":{"remoteJid":"5491100000001@s.whatsapp.net","fromMe":false,"id":"M1"},"update":{"message":{"editedMessage":{"message":{"conversation":"mejor"}}},"messageTimestamp":1795000001}}]`), []string{"message # edit M1 mejor"}},
		"no status":                {event("messages.update", `{"keyId":"M9"}`), []string{"unknown #"}},
		"edited":                   {event("messages.edited", `{"key":{"remoteJid":"5491100000001@s.whatsapp.net","fromMe":false,"id":"M1"},"type":"MESSAGE_EDIT","editedMessage":{"extendedTextMessage":{"text":"mejor"}},"timestampMs":"1795000001000"}`), []string{"message # edit M1 mejor"}},
		"deleted":                  {event("messages.delete", `{"remoteJid":"5491100000001@s.whatsapp.net","fromMe":false,"id":"M1"}`), []string{"message # revoke M1 "}},
		"deleted by us":            {event("messages.delete", `{"key":{"remoteJid":"5491100000001@s.whatsapp.net","fromMe":true,"id":"M1"}}`), []string{"echo # revoke M1 "}},
		"deleted, whose":           {event("messages.delete", `{"id":"M1"}`), []string{"unknown #"}},
		"history":                  {event("messaging-history.set", `[1]`), []string{"history #"}},
		"qr":                       {event("qrcode.updated", `{}`), []string{"account #"}},
		"presence":                 {event("PRESENCE_UPDATE", `{}`), []string{"presence #"}},
		"chats":                    {event("chats.update", `[{"id":"5491100000001@s.whatsapp.net"}]`), []string{"presence #"}},
		"bare message":             {message, []string{"message M1"}},
		"of another name":          {event("messages.something", message), []string{"message M1"}},
		"of nearly the name":       {event("message.upsert", message), []string{"message M1"}},
		"list of another name":     {event("messages.something", `[`+message+`,{"key":{"remoteJid":"1@s.whatsapp.net"}}]`), []string{"message M1", "unknown #"}},
		"list of no messages":      {event("messages.something", `[{"key":{"remoteJid":"1@s.whatsapp.net","id":"M1"},"update":{}}]`), []string{"unknown #"}},
		"a key alone":              {event("message.receipt", `{"key":{"remoteJid":"1@s.whatsapp.net","id":"M1"},"receipt":{}}`), []string{"unknown #"}},
		"credentials":              {event("creds.update", `{}`), []string{"account #"}},
		"an error":                 {event("error", `{}`), []string{"account #"}},
		"no code was read":         {event("QRTimeout", `{}`), []string{"account #"}},
		"a call":                   {event("CallOffer", `{}`), []string{"account #"}},
		"a ban":                    {event("TemporaryBan", `{}`), []string{"account #"}},
		"a group":                  {event("JoinedGroup", `{}`), []string{"account #"}},
		"an archive":               {event("Archive", `{}`), []string{"presence #"}},
		"history of Evolution Go":  {event("HistorySync", `{}`), []string{"history #"}},
		"sent by Evolution Go":     {event("SendMessage", `{"Info":{"Chat":"5491100000001@s.whatsapp.net","ID":"G1"},"Message":{"conversation":"hola"}}`), []string{"echo G1"}},
		"of Evolution Go, bare":    {`{"Info":{"Chat":"5491100000001@s.whatsapp.net","ID":"G1"},"Message":{"conversation":"hola"}}`, []string{"message G1"}},
		"of Evolution Go":          {event("Message", `{"Info":{"Chat":"5491100000001@s.whatsapp.net","Sender":"5491100000001@s.whatsapp.net","ID":"G1","PushName":"Eva"},"Message":{"conversation":"hola"}}`), []string{"message G1"}},
		"of Evolution Go, by us":   {event("Message", `{"Info":{"Chat":"5491100000001@s.whatsapp.net","IsFromMe":true,"ID":"G1"},"Message":{"conversation":"hola"}}`), []string{"echo G1"}},
		"of Evolution Go, unknown": {event("Message", `{"x":1}`), []string{"unknown #"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, a := range decode(t, test.body) {
				id := a.ID
				if strings.HasPrefix(id, "sha256:") {
					id = "#"
				}
				line := string(a.Kind) + " " + id
				if a.Report != nil {
					line += " " + a.Report.Status
				}
				if a.Content != nil && a.Content.TargetID != "" {
					line += " " + a.Content.Type + " " + a.Content.TargetID + " " + a.Content.Text
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(got, test.want); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
		})
	}
	for _, body := range []string{``, `{}`, `[]`, `{"event":7}`, `{"event":"x"}`, `{"key":{}}`, `{"from":"1","text":"x"}`} {
		if got, err := evolution.Decode([]byte(body)); err == nil {
			t.Errorf("%s: got %+v", body, got)
		}
	}
}

// TestBigFileIsKeptOnce: an inline file must not be in the queue twice.
func TestBigFileIsKeptOnce(t *testing.T) {
	t.Parallel()
	file := strings.Repeat("QUJD", 5000)
	body := event("messages.upsert", `{"key":{"remoteJid":"1@s.whatsapp.net","id":"M1"},"message":{"imageMessage":{"mimetype":"image/png"},"base64":"`+file+`"},"source":"ios"}`)
	a := decode(t, body)[0]
	if a.Content.Media.Inline != file {
		t.Error("the file is not whole")
	}
	if want := strings.Replace(`{"key":{"remoteJid":"1@s.whatsapp.net","id":"M1"},"message":{"imageMessage":{"mimetype":"image/png"},"base64":"X"},"source":"ios"}`, "X", "", 1); string(a.Raw) != want {
		t.Errorf("raw: got %s, want %s", a.Raw, want)
	}
}

func FuzzDecode(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.json")
	found, _ := filepath.Glob("testdata/found/*.json")
	for _, path := range append(paths, found...) {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(event("messages.update", `[{"key":{"id":"M9"},"update":{"status":4}}]`)))
	f.Add([]byte(event("messages.edited", `{"key":{"id":"M1"},"editedMessage":{}}`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		arrivals, err := evolution.Decode(body)
		if (err == nil) != (len(arrivals) > 0) {
			t.Fatalf("%v, %d arrivals", err, len(arrivals))
		}
		for _, a := range arrivals {
			if !json.Valid(a.Raw) {
				t.Fatalf("raw is no JSON: %q", a.Raw)
			}
			if a.ID == "" || strings.Contains(a.Person.Phone, "@") {
				t.Fatalf("got %+v", a)
			}
			if (a.Kind == inbound.Message || a.Kind == inbound.Echo) && (a.Content == nil || a.Content.Type == "") {
				t.Fatalf("a message without content: %+v", a)
			}
		}
	})
}

// TestEvolutionGo: the person of a message of Evolution Go.
func TestEvolutionGo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ info, want string }{
		"sender to a broadcast list": {`"Chat":"1577000001@broadcast","Sender":"5491100000001@s.whatsapp.net","IsGroup":true`, "message 5491100000001/ "},
		"a status":                   {`"Chat":"status@broadcast","Sender":"5491100000001@s.whatsapp.net","IsGroup":true`, "message 5491100000001/ group"},
		"a group":                    {`"Chat":"12@g.us","Sender":"77@lid","SenderAlt":"5491100000001@s.whatsapp.net","IsGroup":true`, "message 5491100000001/77@lid group"},
		"a channel":                  {`"Chat":"12@newsletter","Sender":"12@newsletter"`, "message / group"},
		"hidden":                     {`"Chat":"77@lid","Sender":"77@lid","SenderAlt":"5491100000001@s.whatsapp.net"`, "message 5491100000001/77@lid "},
		"ours":                       {`"Chat":"5491100000001@s.whatsapp.net","Sender":"5491100000098:3@s.whatsapp.net","SenderAlt":"99@lid","IsFromMe":true`, "echo 5491100000001/ "},
		"ours, to a hidden id":       {`"Chat":"77@lid","Sender":"99@lid","SenderAlt":"5491100000098@s.whatsapp.net","RecipientAlt":"5491100000001@s.whatsapp.net","IsFromMe":true`, "echo 5491100000001/77@lid "},
		"ours, in the wrong chat":    {`"Chat":"5491100000098@s.whatsapp.net","Sender":"5491100000098@s.whatsapp.net","RecipientAlt":"5491100000001@s.whatsapp.net","IsFromMe":true`, "echo 5491100000001/ "},
		"a note to oneself":          {`"Chat":"5491100000098@s.whatsapp.net","Sender":"5491100000098@s.whatsapp.net","IsFromMe":true`, "echo 5491100000098/ invalid"},
	} {
		a := decode(t, `{"event":"Message","instanceName":"ventas","data":{"Info":{"ID":"G1",`+tc.info+`},"Message":{"conversation":"hola"}}}`)[0]
		got := fmt.Sprintf("%s %s/%s %s", a.Kind, a.Person.Phone, a.Person.ExternalID, a.Quarantine)
		if got != tc.want || a.LineRef != "ventas" {
			t.Errorf("%s: got %s on %q, want %s", name, got, a.LineRef, tc.want)
		}
	}
	file := strings.Repeat("QUJD", 400_000)
	a := decode(t, `{"event":"Message","data":{"Info":{"ID":"G1","Chat":"1@s.whatsapp.net"},"Message":{"imageMessage":{"mimetype":"image/png"},"base64":"`+file+`"}}}`)[0]
	if a.Content.Media == nil || a.Content.Media.Inline != file || len(a.Raw) > 1000 {
		t.Errorf("a photo: %d bytes of raw", len(a.Raw))
	}
	a = decode(t, `{"event":"Message","data":{"Info":{"ID":"G1","Chat":"1@s.whatsapp.net"},"Message":{"imageMessage":{},"mediaUrl":"https://s3.example/a","mimetype":"image/jpeg"}}}`)[0]
	if m := a.Content.Media; m == nil || m.URL != "https://s3.example/a" || m.MIME != "image/jpeg" {
		t.Errorf("a photo in storage: %+v", m)
	}
}

// TestWhoMayBeAnswered: only JIDs of a known personal form may be answered.
func TestWhoMayBeAnswered(t *testing.T) {
	t.Parallel()
	const ana = "5491100000001"
	for name, tc := range map[string]struct {
		key       string
		phone     string
		external  string
		elsewhere bool
	}{
		"a person":                   {`"remoteJid":"5491100000001@s.whatsapp.net"`, ana, "", false},
		"on a device":                {`"remoteJid":"5491100000001:12@s.whatsapp.net"`, ana, "", false},
		"of an old server":           {`"remoteJid":"5491100000001@c.us"`, ana, "", false},
		"of a hosted business":       {`"remoteJid":"5491100000001@hosted"`, ana, "", false},
		"hidden":                     {`"remoteJid":"77@lid"`, "", "77@lid", false},
		"a group":                    {`"remoteJid":"1203@g.us","participant":"5491100000001@s.whatsapp.net"`, ana, "", true},
		"sender to a broadcast list": {`"remoteJid":"1577000001@broadcast","participant":"5491100000001@s.whatsapp.net"`, ana, "", false},
		"our own broadcast list":     {`"remoteJid":"1577000001@broadcast","fromMe":true,"participant":"5491100000009@s.whatsapp.net"`, "5491100000009", "", true},
		"a status":                   {`"remoteJid":"status@broadcast","participant":"5491100000001@s.whatsapp.net"`, ana, "", true},
		"a channel":                  {`"remoteJid":"120363000000000001@newsletter"`, "", "", true},
		"a bot":                      {`"remoteJid":"8675309@bot"`, "", "", true},
		"a call":                     {`"remoteJid":"123@call"`, "", "", true},
		"a server of tomorrow":       {`"remoteJid":"123@hologram"`, "", "", true},
		"WhatsApp itself":            {`"remoteJid":"0@s.whatsapp.net"`, "", "", true},
		"WhatsApp's support":         {`"remoteJid":"16505361212@c.us"`, "", "", true},
		"WhatsApp's own assistant":   {`"remoteJid":"13135550002@s.whatsapp.net"`, "", "", true},
		"another assistant":          {`"remoteJid":"13135550003@s.whatsapp.net"`, "", "", true},
		"an assistant, older server": {`"remoteJid":"13165550012@c.us"`, "", "", true},
		"an assistant, on a device":  {`"remoteJid":"13165550099:3@hosted"`, "", "", true},
		"a hidden assistant":         {`"remoteJid":"77@lid","remoteJidAlt":"13135550002@s.whatsapp.net"`, "", "", true},
		"nearly an assistant":        {`"remoteJid":"131655501001@s.whatsapp.net"`, "131655501001", "", false},
		"words":                      {`"remoteJid":"Support@s.whatsapp.net"`, "", "", true},
		"words on a device":          {`"remoteJid":"Support:3@c.us"`, "", "", true},
		"hidden words":               {`"remoteJid":"Support@lid"`, "", "", true},
		"of an agent, on a device":   {`"remoteJid":"5491100000001_1:3@s.whatsapp.net"`, ana, "", false},
		"of an agent, Evolution Go":  {`"remoteJid":"5491100000001.1:3@s.whatsapp.net"`, ana, "", false},
		"of an agent":                {`"remoteJid":"5491100000001_1@s.whatsapp.net"`, ana, "", false},
		"with a plus":                {`"remoteJid":"+5491100000001@s.whatsapp.net"`, ana, "", false},
		"hidden, on a device":        {`"remoteJid":"77:12@lid"`, "", "77@lid", false},
		"a spreadsheet's number":     {`"remoteJid":"5.49116E+12@s.whatsapp.net"`, "", "", true},
		"with a comma":               {`"remoteJid":"5,49116E+12@s.whatsapp.net"`, "", "", true},
		"a hidden one":               {`"remoteJid":"1.00000E+14@lid"`, "", "", true},
		"its other name":             {`"remoteJid":"5.49116E+12@s.whatsapp.net","remoteJidAlt":"5491100000001@s.whatsapp.net"`, ana, "", false},
		"no user":                    {`"remoteJid":"@s.whatsapp.net"`, "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, event("messages.upsert", `{"key":{"id":"M1",`+tc.key+`},"message":{"conversation":"hola"}}`))
			if len(got) != 1 {
				t.Fatalf("got %+v", got)
			}
			a := got[0]
			if a.Person.Phone != tc.phone || a.Person.ExternalID != tc.external || (a.Quarantine != "") != tc.elsewhere {
				t.Errorf("got %+v, quarantine %q; want phone %q, external %q, elsewhere %v", a.Person, a.Quarantine, tc.phone, tc.external, tc.elsewhere)
			}
		})
	}
}

// TestBodiesOnceMisread: bodies that were once read wrongly.
func TestBodiesOnceMisread(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"album_item.json":                      "message image «comprobante de la cuota» 5491155550001",
		"album_marker.json":                    "message notice «» 5491155550001",
		"broadcast_list.json":                  "message text «hola, quiero un turno» 5491155550001",
		"ephemeral_document_with_caption.json": "message document «pago de noviembre» 5491155550001",
		"ephemeral_setting.json":               "message protocol «» 5491155550001",
		"go_message.json":                      "message text «hola» 5491155550001",
		"newsletter.json":                      "message text «Novedades de diciembre»  group",
		"pin.json":                             "message pin «» 5491155550001",
		"pin_from_me.json":                     "echo pin «» 5491155550001",
	}
	for name := range want {
		body, err := os.ReadFile(filepath.Join("testdata/found", name))
		if err != nil {
			t.Fatal(err)
		}
		all := decode(t, string(body))
		if len(all) != 1 || all[0].Content == nil {
			t.Fatalf("%s: got %+v", name, all)
		}
		a := all[0]
		got := strings.TrimSpace(fmt.Sprintf("%s %s «%s» %s %s", a.Kind, a.Content.Type, a.Content.Text, a.Person.Phone, a.Quarantine))
		if got != want[name] {
			t.Errorf("%s: got %s, want %s", name, got, want[name])
		}
	}
}
