// Package flow is the language that a conversation is written in: menus,
// options, areas, texts and commands, in YAML. It parses with positions, checks
// what WhatsApp would refuse and what people would fall into, and draws the
// tree. It is pure: no clock, no network, no state of a conversation.
package flow

// Flow is a checked conversation tree. It is immutable once parsed and safe for
// concurrent use.
type Flow struct {
	Version  int
	Lines    map[string]Line
	Areas    map[string]Area
	Texts    Texts
	Commands Commands
	Menus    map[string]*Menu
	Policies Policies
	// Buttons are those of templates, by payload: see Button.
	Buttons map[string]Button
	// MenuOrder lists the menu ids as they stand in the file.
	MenuOrder []string
	// LineOrder lists the line ids as they stand in the file.
	LineOrder []string
	// AreaOrder lists the area ids as they stand in the file.
	AreaOrder []string
	// Codes maps every option's code to the menu and option that own it.
	Codes map[string]Choice
}

// Line says how conversations of one line begin.
type Line struct {
	Start string // menu id
}

// Area is a team that answers.
type Area struct {
	ID       string
	Name     string   // what people read
	Expected string   // "2 a 4 h hábiles"; "" for none
	Aliases  []string // old names that are accepted at the edges
}

// Texts are the sentences of the router. In HandedOff and Transferred, {area}
// and {expected} are replaced by the router and {ticket} by the store.
type Texts struct {
	HandedOff    string // confirmation of a hand-off
	Transferred  string // confirmation of a transfer to another area
	Invalid      string // before the menu is shown again
	OfferPerson  string // after too many invalid inputs, or the budget
	StaleReply   string // an old list was tapped
	Unsupported  string // something that we cannot read
	Courtesy     string // one line for a thank-you; "" answers nothing
	MenuButton   string // label that opens a list, at most 20 characters
	OfferYes     string // button that accepts the offer, at most 20 characters
	OfferNo      string // button that declines it, at most 20 characters
	WindowReopen string // before the menu when somebody comes back; "" for none
	Closed       string // when a person closed it; "" for none
	OptedOut     string // answers a word of Commands.Stop
	OptedIn      string // answers a word of Commands.Start
	Apology      string // to who got no answer; see Policies.AfterOutage
}

// Commands are whole messages with a meaning, normalised as Normalize does.
type Commands struct {
	Menu     []string
	Back     []string
	Person   []string // asks for a human
	Greeting []string
	Courtesy []string
	Yes      []string // accepts the offer of a person
	No       []string // declines it
	Stop     []string // wants no more marketing
	Start    []string // wants it again
}

// Style says how a menu is shown.
type Style string

// Styles. Auto takes buttons for up to three short options without description,
// a list for up to ten, and text beyond or where a line cannot do lists.
const (
	StyleAuto    Style = "auto"
	StyleText    Style = "text"
	StyleList    Style = "list"
	StyleButtons Style = "buttons"
)

// Menu is one question with its options.
type Menu struct {
	ID      string
	Parent  string // the menu that "back" leads to; "" for the first start menu
	Style   Style  // never StyleAuto after parsing
	Text    string
	Footer  string
	Button  string // label that opens the list
	Options []Option
	Line    int // in the file, for messages
}

// Option is one choice of a menu. Exactly one of Menu, Handoff and Reply is set.
type Option struct {
	Code        string
	Title       string
	Description string
	Synonyms    []string // whole messages that choose it, normalised
	Menu        string
	Handoff     *Handoff
	Reply       string // a text that answers; the conversation stays where it is
	Line        int
}

// Handoff gives the conversation to a team.
type Handoff struct {
	Area string
	Tag  string
}

// Choice is an option in its menu.
type Choice struct {
	Menu  string
	Index int
}

// Policies are the numbers and switches of the flow.
type Policies struct {
	MenuBreaksHandoff bool
	InvalidLimit      int // invalid inputs in a row before a person is offered
	AutoPerHour       int // automatic messages an hour and conversation
	// OfferArea is where somebody goes who asks for a person from a menu that
	// does not belong to one area.
	OfferArea string
	// AfterOutage is what is done about people who were left without an answer.
	AfterOutage AfterOutage
}

// AfterOutage says what people get whom an outage left without an answer.
type AfterOutage string

// What they get: nothing, they are only listed; the start menu behind the apology; the
// apology alone; a team, that of OfferArea.
const (
	AfterOutageList      AfterOutage = "list"
	AfterOutageMenu      AfterOutage = "menu"
	AfterOutageApologize AfterOutage = "apologize"
	AfterOutageHandoff   AfterOutage = "handoff"
)

func outages() []string {
	return []string{string(AfterOutageList), string(AfterOutageMenu), string(AfterOutageApologize), string(AfterOutageHandoff)}
}

// Defaults of the policies.
const (
	DefaultInvalidLimit = 3
	DefaultAutoPerHour  = 20
)

// Start returns the first menu of a line; lines that the flow does not name
// begin where its first line does.
func (f *Flow) Start(line string) *Menu {
	if l, ok := f.Lines[line]; ok {
		return f.Menus[l.Start]
	}
	return f.Menus[f.DefaultStart()]
}

// DefaultStart is the id of the menu for lines that the flow does not name.
func (f *Flow) DefaultStart() string {
	if len(f.LineOrder) > 0 {
		return f.Lines[f.LineOrder[0]].Start
	}
	if len(f.MenuOrder) > 0 {
		return f.MenuOrder[0]
	}
	return ""
}
