package router

// Reason says why the router, ingest, the queue or delivery decided something. The list is
// closed; operators, the API and `why` show it.
type Reason string

// Decisions about a message.
const (
	FirstContact       Reason = "first_contact"
	CommandMenu        Reason = "command_menu"
	CommandBack        Reason = "command_back"
	CommandPerson      Reason = "command_person"
	MenuChoice         Reason = "menu_choice"
	ReplyChoice        Reason = "reply_choice"
	StaleReply         Reason = "stale_reply"
	TemplateButton     Reason = "template_button"
	Greeting           Reason = "greeting"
	Courtesy           Reason = "courtesy"
	Together           Reason = "together"
	FormAnswer         Reason = "form_answer"
	InvalidInput       Reason = "invalid_input"
	OfferPerson        Reason = "offer_person"
	OfferDeclined      Reason = "offer_declined"
	HandedOff          Reason = "handed_off"
	HandedOffSilent    Reason = "handed_off_silent"
	DisconnectedSilent Reason = "disconnected_silent"
	ClosedReopened     Reason = "closed_reopened"
	WindowExpired      Reason = "window_expired"
	HandoffTimeout     Reason = "handoff_timeout"
	Stale              Reason = "stale"
	Late               Reason = "late"
	Duplicate          Reason = "duplicate"
	UnknownShape       Reason = "unknown_shape"
	UnknownType        Reason = "unknown_type"
	UnknownLine        Reason = "unknown_line"
	Group              Reason = "group"
	EchoSent           Reason = "echo"
	System             Reason = "system"
	Reaction           Reason = "reaction"
	Edited             Reason = "edited"
	Revoked            Reason = "revoked"
	Blocked            Reason = "blocked"
	OptedOut           Reason = "opted_out"
	OptedIn            Reason = "opted_in"
	Budget             Reason = "budget"
	Invalid            Reason = "invalid"
	StandbyCopy        Reason = "standby"
	HistoryChunk       Reason = "history"
	AccountNotice      Reason = "account"
	ProviderError      Reason = "provider_error"
)

// Why an outgoing message was not sent, or may not have been.
const (
	Superseded   Reason = "superseded"
	Expired      Reason = "expired"
	WindowClosed Reason = "window_closed"
	Refused      Reason = "refused"
	UncertainFor Reason = "uncertain"
)

// Commands of people and programs.
const (
	ByAgent     Reason = "agent"
	ByAPI       Reason = "api"
	Closed      Reason = "closed"
	Reopened    Reason = "reopened"
	Disconnect  Reason = "disconnected"
	Reconnect   Reason = "reconnected"
	ResetByHand Reason = "reset"
	AfterOutage Reason = "after_outage"
	NoEffect    Reason = "no_effect"
)
