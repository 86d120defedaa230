package evolution

import (
	"strings"

	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// folded returns a table with lower-case names: whatsmeow and hand-made flat objects spell
// them differently.
func folded[V any](table map[string]V) map[string]V {
	all := make(map[string]V, len(table))
	for name, v := range table {
		all[strings.ToLower(name)] = v
	}
	return all
}

// kinds maps the members of a Baileys message to the Cloud API's types.
var kinds = folded(map[string]string{
	"conversation":               "text",
	"extendedTextMessage":        "text",
	"questionResponseMessage":    "text",
	"statusQuotedMessage":        "text",
	"imageMessage":               "image",
	"videoMessage":               "video",
	"ptvMessage":                 "video",
	"audioMessage":               "audio",
	"documentMessage":            "document",
	"stickerMessage":             "sticker",
	"locationMessage":            "location",
	"liveLocationMessage":        "location",
	"contactMessage":             "contacts",
	"contactsArrayMessage":       "contacts",
	"reactionMessage":            "reaction",
	"buttonsResponseMessage":     "interactive",
	"templateButtonReplyMessage": "button",
	"listResponseMessage":        "interactive",
	"interactiveResponseMessage": "interactive",
	"orderMessage":               "order",
	"protocolMessage":            "protocol",
	"editedMessage":              "edit",
	"pinInChatMessage":           "pin",
	"keepInChatMessage":          "keep_in_chat",
	"pollUpdateMessage":          "poll_update",
})

// place says where a member has its text, best first, and its file.
type place struct{ texts, files []string }

// places lists the members without a Cloud API type. Their own name becomes the type, and
// their text and file are read.
var places = folded(map[string]place{
	"groupInviteMessage":           {texts: []string{"caption", "groupName"}},
	"stickerPackMessage":           {texts: []string{"caption", "name"}},
	"productMessage":               {texts: []string{"body", "product.title"}},
	"interactiveMessage":           {texts: []string{"body.text", "header.title"}, files: []string{"header"}},
	"buttonsMessage":               {texts: []string{"contentText", "text"}, files: []string{""}},
	"templateMessage":              templated(""),
	"highlyStructuredMessage":      templated("hydratedHsm."),
	"listMessage":                  {texts: []string{"description", "title"}},
	"eventMessage":                 {texts: []string{"name", "description"}},
	"pollCreationMessage":          {texts: []string{"name"}},
	"pollCreationMessageV2":        {texts: []string{"name"}},
	"pollCreationMessageV3":        {texts: []string{"name"}},
	"pollCreationMessageV5":        {texts: []string{"name"}},
	"pollCreationMessageV6":        {texts: []string{"name"}},
	"eventInviteMessage":           {texts: []string{"caption", "eventTitle"}}, // only whatsmeow has this and the next two yet
	"splitPaymentMessage":          {texts: []string{"description"}},
	"paymentReminderMessage":       {texts: []string{"description"}},
	"invoiceMessage":               {texts: []string{"note"}},
	"scheduledCallCreationMessage": {texts: []string{"title"}},
	"richResponseMessage":          {}, // a forwarded answer of an assistant, in parts
})

// templated returns the place of a template, with its newer and older names.
func templated(at string) place {
	return place{
		texts: []string{
			at + "hydratedTemplate.hydratedContentText", at + "hydratedFourRowTemplate.hydratedContentText",
			at + "interactiveMessageTemplate.body.text",
		},
		files: []string{at + "hydratedTemplate", at + "hydratedFourRowTemplate", at + "interactiveMessageTemplate.header"},
	}
}

// gestures lists the members that say nothing: somebody did something, or phones
// synchronise. They are kept and never answered.
var gestures = folded(map[string]bool{
	"albumMessage": true, // says how many pictures follow
	"bcallMessage": true, "call": true, "callLogMesssage": true, "scheduledCallEditMessage": true,
	"cancelPaymentRequestMessage": true, "declinePaymentRequestMessage": true, "requestPhoneNumberMessage": true,
	"chat": true, "encCommentMessage": true, "encEventResponseMessage": true, "encReactionMessage": true,
	"groupRootKeyShare": true, "rootSecretDistributeMessage": true, "splitPaymentUpdateMessage": true,
	"groupStatusMentionMessage": true, "limitSharingMessage": true, "messageHistoryBundle": true, "messageHistoryNotice": true,
	"newsletterAdminInviteMessage": true, "newsletterFollowerInviteMessageV2": true, "placeholderMessage": true,
	"pollAddOptionMessage": true, "pollResultSnapshotMessage": true, "pollResultSnapshotMessageV3": true, "secretEncryptedMessage": true,
	"statusAddYours": true, "statusMentionMessage": true, "statusNotificationMessage": true, "statusQuestionAnswerMessage": true,
	"statusStickerInteractionMessage": true, "stickerSyncRmrMessage": true,
})

// beside lists members that accompany the content and have none of their own.
var beside = folded(map[string]bool{
	"messageContextInfo": true, "senderKeyDistributionMessage": true, "fastRatchetKeySenderKeyDistributionMessage": true,
	"statusLinkPreviewMetadata": true,
})

// KindOf returns the Cloud API's type for the name of a message's member, in any case:
// "notice" for a gesture, "" for an unknown name.
func KindOf(name string) string {
	name = strings.ToLower(name)
	if gestures[name] || beside[name] {
		return "notice"
	}
	return kinds[name]
}

// oneofs lists the protobuf oneofs that whatsmeow writes around a member. Baileys leaves
// them out.
var oneofs = map[string]bool{
	"format": true, "header": true, "interactivemessage": true, "interactiveresponsemessage": true, "media": true, "response": true, "title": true,
}

// get is v.Get that ignores case (whatsmeow writes stanzaID, Baileys stanzaId) and looks
// into oneofs.
func get(v rawjson.Value, path ...string) rawjson.Value {
	for _, name := range path {
		if v = member(v, name); !v.Exists() {
			return nil
		}
	}
	return v
}

func member(v rawjson.Value, name string) (within rawjson.Value) {
	for key, m := range v.Members() {
		switch {
		case strings.EqualFold(key, name):
			return m
		case within == nil && m.IsObject() && oneofs[strings.ToLower(key)]:
			for key, m := range m.Members() {
				if strings.EqualFold(key, name) {
					within = m
					break
				}
			}
		}
	}
	return within
}

// at is get with a dotted path; "" is v itself.
func at(v rawjson.Value, path string) rawjson.Value {
	if path == "" {
		return v
	}
	return get(v, strings.Split(path, ".")...)
}
