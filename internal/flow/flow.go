// Package flow is the language of conversations: menus, options, areas, texts and commands,
// in YAML. It parses with positions, finds what WhatsApp would refuse and where people would
// get lost, and draws the tree. It is pure: it must never use a clock, a network or the
// state of a conversation.
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
	// Buttons are the buttons of templates, by payload.
	Buttons map[string]Button
	// MenuOrder lists the menu ids in the order of the file.
	MenuOrder []string
	// LineOrder lists the line ids in the order of the file.
	LineOrder []string
	// AreaOrder lists the area ids in the order of the file.
	AreaOrder []string
	// Codes maps every option's code to the menu and option that own it.
	Codes map[string]Choice
}

// Line has the settings of one line.
type Line struct {
	Start string // menu id
}

// Area is a team that answers.
type Area struct {
	ID       string
	Name     string   // for people
	Expected string   // "2 a 4 h hábiles"; "" for none
	Aliases  []string // old names that are still accepted
}

// Texts are the sentences of the router. In HandedOff and Transferred, {area}
// and {expected} are replaced by the router and {ticket} by the store.
type Texts struct {
	HandedOff    string // confirmation of a hand-off
	Transferred  string // confirmation of a transfer to another area
	Invalid      string // before the menu is shown again
	OfferPerson  string // after too many invalid inputs or automatic messages
	StaleReply   string // answers a tap on an old list
	Unsupported  string // answers a message that we cannot read
	Courtesy     string // answers a thank-you; "" for no answer
	MenuButton   string // label that opens a list, at most 20 characters
	OfferYes     string // button that accepts the offer, at most 20 characters
	OfferNo      string // button that declines it, at most 20 characters
	WindowReopen string // before the menu when somebody comes back; "" for none
	Closed       string // when an agent closes the conversation; "" for none
	OptedOut     string // answers a word of Commands.Stop
	OptedIn      string // answers a word of Commands.Start
	Apology      string // for people who were left; see Policies.AfterOutage
}

// Commands are whole messages with a meaning, normalised by Normalize.
type Commands struct {
	Menu     []string
	Back     []string
	Person   []string // asks for a human
	Greeting []string
	Courtesy []string
	Yes      []string // accepts the offer of a person
	No       []string // declines it
	Stop     []string // stops marketing
	Start    []string // resumes it
}

// Style says how a menu is shown.
type Style string

// Styles. Auto is buttons for up to three short options without description, a list for up
// to ten options, and text for more or on a line without lists.
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
	Reply       string // the answer; the conversation stays in the menu
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
	AutoPerHour       int // automatic messages per hour and conversation
	// OfferArea takes people who ask for a person in a menu that does not belong to one
	// area.
	OfferArea string
	// AfterOutage says what people get who were left without an answer.
	AfterOutage AfterOutage
}

// AfterOutage says what people get who were left during an outage.
type AfterOutage string

// Values of AfterOutage: nothing, they are only listed; the apology and the start menu; the
// apology alone; the apology and a hand-off to OfferArea.
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

// Start returns the start menu of a line. A line that the flow does not name has that of the
// flow's first line.
func (f *Flow) Start(line string) *Menu {
	if l, ok := f.Lines[line]; ok {
		return f.Menus[l.Start]
	}
	return f.Menus[f.DefaultStart()]
}

// DefaultStart returns the id of the start menu for lines that the flow does not name.
func (f *Flow) DefaultStart() string {
	if len(f.LineOrder) > 0 {
		return f.Lines[f.LineOrder[0]].Start
	}
	if len(f.MenuOrder) > 0 {
		return f.MenuOrder[0]
	}
	return ""
}
