package limits

// rules has the rules of each type, with the Cloud API's own paths: "[]" is each item, and a
// member with "?" may be missing. Rules of "interactive" hold for all of its types.
var rules = map[string][]rule{
	"text":     {{"text.body", text(1, Text)}},
	"image":    {{"image.caption", text(0, Caption)}},
	"video":    {{"video.caption", text(0, Caption)}},
	"document": {{"document.caption", text(0, Caption)}},
	"location": {
		{"location.latitude", number(-90, 90)},
		{"location.longitude", number(-180, 180)},
	},
	"contacts": {
		{"contacts", count(1, Contacts)},
		{"contacts[].name.formatted_name", text(1, Text)},
	},
	"reaction": {{"reaction.message_id", text(1, Text)}},

	"interactive": {
		{"interactive.type", text(1, 50)},
		{"interactive.header?.text?", text(1, Header)},
		{"interactive.body?.text", text(1, Body)},
		{"interactive.footer?.text", text(1, Footer)},
	},
	"interactive/button": {
		{"interactive.header?", header("text", "image", "video", "document")},
		{"interactive.body.text", text(1, Body)},
		{"interactive.action.buttons", count(1, Buttons)},
		{"interactive.action.buttons[].type", oneOf("reply")},
		{"interactive.action.buttons[].reply.id", id(ButtonID)},
		{"interactive.action.buttons[].reply.title", combine(text(1, ButtonTitle), unique)},
	},
	"interactive/list": {
		{"interactive.header?", header("text")},
		{"interactive.body.text", text(1, Body)},
		{"interactive.action.button", text(1, ListButton)},
		{"interactive.action.sections", count(1, Sections)},
		{"interactive.action.sections[].title", combine(text(0, SectionTitle), titledIfMany)},
		{"interactive.action.sections[].rows", count(1, Rows)},
		{"interactive.action.sections[].rows[]", atMost(Rows)},
		{"interactive.action.sections[].rows[].id", id(RowID)},
		{"interactive.action.sections[].rows[].title", text(1, RowTitle)},
		{"interactive.action.sections[].rows[].description", text(0, RowDescription)},
	},
	"interactive/cta_url": {
		{"interactive.header?", header("text", "image", "video", "document")},
		{"interactive.body.text", text(1, Body)},
		{"interactive.action.name", oneOf("cta_url")},
		{"interactive.action.parameters.display_text", text(1, LinkButton)},
		{"interactive.action.parameters.url", link},
	},
	"interactive/flow": {
		{"interactive.header?", header("text", "image", "video", "document")},
		{"interactive.body.text", text(1, Body)},
		{"interactive.action.name", oneOf("flow")},
		{"interactive.action.parameters.flow_message_version", oneOf("3")},
		{"interactive.action.parameters.flow_cta", text(1, FlowButton)},
		{"interactive.action.parameters", oneMember("flow_id", "flow_name")},
		{"interactive.action.parameters.flow_action?", oneOf("navigate", "data_exchange")},
		{"interactive.action.parameters.mode?", oneOf("published", "draft")},
	},
	"interactive/location_request_message": {
		{"interactive.body.text", text(1, Body)},
		{"interactive.action.name", oneOf("send_location")},
	},
	"interactive/request_contact_info": {
		{"interactive.body.text", text(1, Body)},
		{"interactive.action.name", oneOf("request_contact_info")},
	},

	"interactive/product": {
		{"interactive.header", absent},
		{"interactive.action.catalog_id", text(1, Text)},
		{"interactive.action.product_retailer_id", text(1, Text)},
	},
	"interactive/product_list": {
		{"interactive.header", header("text")},
		{"interactive.body.text", text(1, Body)},
		{"interactive.action.catalog_id", text(1, Text)},
		{"interactive.action.sections", count(1, Sections)},
		{"interactive.action.sections[].title", combine(text(0, SectionTitle), titledIfMany)},
		{"interactive.action.sections[].product_items", count(1, Products)},
		{"interactive.action.sections[].product_items[]", atMost(Products)},
		{"interactive.action.sections[].product_items[].product_retailer_id", text(1, Text)},
	},
	"interactive/catalog_message": {
		{"interactive.body.text", text(1, Body)},
		{"interactive.action.name", oneOf("catalog_message")},
	},
	"interactive/carousel": {
		{"interactive.header", absent},
		{"interactive.footer", absent},
		{"interactive.body.text", text(1, Body)},
		{"interactive.action.cards", count(2, Cards)},
		{"interactive.action.cards[].header?", header("image", "video")},
		{"interactive.action.cards[].body?.text", text(1, CardBody)},
		{"interactive.action.cards[].action.parameters?.display_text", text(1, LinkButton)},
		{"interactive.action.cards[].action.parameters?.url", link},
		{"interactive.action.cards[].action.buttons?", count(1, Buttons)},
		{"interactive.action.cards[].action.buttons[].quick_reply?.id", text(1, ButtonID)},
		{"interactive.action.cards[].action.buttons[].quick_reply?.title", text(1, ButtonTitle)},
	},
	"interactive/call_permission_request": {
		{"interactive.action.name", oneOf("call_permission_request")},
	},
	"interactive/voice_call": {
		{"interactive.body.text", text(1, Body)},
		{"interactive.action.name", oneOf("voice_call")},
		{"interactive.action.parameters?.display_text?", text(1, CallButton)},
	},

	"template": {
		{"template.name", text(1, TemplateName)},
		{"template.language.code", text(1, LanguageCode)},
		{"template.components?", count(0, anyNumber)},
		{"template.components[].type", text(1, 50)},
		{"template.components[]", components},
	},
}
