package router

// class is what a message is to a menu.
type class int

const (
	classText    class = iota // something to read
	classTap                  // a tapped row or button
	classMedia                // something that a person sent and we cannot read
	classUnknown              // a type that nobody taught us
	classUnseen               // something that a person wrote and WhatsApp did not let us have
	classForm                 // a form that a person filled in
	classNotice               // not something to answer: a reaction, an edit, a change
)

// classes says what each of the Cloud API's types may do in a menu; "interactive"
// and "text" depend on their content. What is missing is classUnknown.
var classes = map[string]class{
	"text":     classText,
	"button":   classText, // a template's quick reply
	"image":    classMedia,
	"audio":    classMedia,
	"voice":    classMedia,
	"video":    classMedia,
	"document": classMedia,
	"sticker":  classMedia,
	"location": classMedia,
	"contacts": classMedia,
	"order":    classMedia,

	"notice":          classNotice, // a gesture of a kind that we know, or of phones among themselves
	"protocol":        classNotice,
	"reaction":        classNotice,
	"system":          classNotice,
	"edit":            classNotice,
	"revoke":          classNotice,
	"request_welcome": classNotice,
	"pin":             classNotice,
	"keep_in_chat":    classNotice,
	"poll_update":     classNotice,
}

func classify(m Message) class {
	switch {
	case m.Form:
		return classForm
	case m.Unseen:
		return classUnseen
	}
	if m.Type == "interactive" {
		switch {
		case m.ReplyID != "":
			return classTap
		case m.Text != "":
			return classText
		}
		return classUnknown
	}
	if c, known := classes[m.Type]; known {
		return c
	}
	return classUnknown
}

// Says reports whether a message of a type says something to whom it is written: what
// our own side says from the phone takes the conversation over, a gesture does not.
func Says(messageType string) bool {
	switch messageType {
	case "unsupported", "unknown", "errors":
		return false
	}
	return Answerable(messageType)
}

// Answerable says that a message of a type may deserve an answer of the router.
func Answerable(messageType string) bool { return classes[messageType] != classNotice }

func noticeReason(messageType string) Reason {
	switch messageType {
	case "reaction":
		return Reaction
	case "edit":
		return Edited
	case "revoke":
		return Revoked
	default:
		return System
	}
}
