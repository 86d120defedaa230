package router

// class says how a menu treats a message.
type class int

const (
	classText    class = iota // a text
	classTap                  // a tapped row or button
	classMedia                // content that we cannot read
	classUnknown              // a type that we do not know
	classUnseen               // a message whose content WhatsApp withheld
	classForm                 // a completed form
	classNotice               // nothing to answer: a reaction, an edit, a change
)

// classes has the class of each of the Cloud API's types, but for "interactive", which
// depends on the content. A type that is missing is classUnknown.
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

	"notice":          classNotice, // a known gesture, or phones synchronising
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

// Says reports whether a message of a type has content for its reader. Content that our own
// side writes from the phone takes the conversation over; a gesture does not.
func Says(messageType string) bool {
	switch messageType {
	case "unsupported", "unknown", "errors":
		return false
	}
	return Answerable(messageType)
}

// Answerable reports whether the router may answer a message of a type.
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
