package phone

import (
	"strings"

	"github.com/psivisionhub/psi-router/internal/lang"
)

// Rule is one step that made a number canonical.
type Rule string

// Rules, in the order in which they may apply.
const (
	RuleNotPhone Rule = "not_a_phone"
	RuleJID      Rule = "jid"
	RuleExit     Rule = "exit_00"
	RuleTrunk    Rule = "trunk_0"
	RuleLocal15  Rule = "local_15"
	RuleArea15   Rule = "area_15"
	RuleMobile9  Rule = "mobile_9"
	RuleBrazil9  Rule = "brazil_9"
	RuleMexico1  Rule = "mexico_1"
	RuleCountry  Rule = "country_added"
	RuleForeign  Rule = "as_it_came"
)

// sentences describes each rule.
var sentences = map[Rule]lang.Text{
	RuleNotPhone: {ES: "No es un teléfono: es un id oculto, un grupo, un id de usuario o no tiene dígitos. De esto nunca se deduce un número.", EN: "This is not a phone number: it is a hidden id, a group, a user id, or has no digits. A number is never derived from it."},
	RuleJID:      {ES: "Se quitó el sufijo de WhatsApp (@…).", EN: "WhatsApp's suffix (@…) was removed."},
	RuleExit:     {ES: "Se quitó el 00 de salida internacional.", EN: "The international exit code 00 was removed."}, //nolint:misspell // Spanish
	RuleTrunk:    {ES: "Se quitó el prefijo con el que se marca dentro del país (0, o 01/044/045).", EN: "The prefix dialled within the country (0, or 01/044/045) was removed."},
	RuleLocal15:  {ES: "15 y ocho dígitos sin característica: es de Buenos Aires, 11.", EN: "15 and eight digits without an area code: Buenos Aires, 11."},
	RuleArea15:   {ES: "Se quitó el 15 que va después de la característica.", EN: "The 15 after the area code was removed."},
	RuleMobile9:  {ES: "Se agregó el 9 de los celulares argentinos.", EN: "Argentina's mobile 9 was added."},
	RuleBrazil9:  {ES: "Se agregó el 9 de los celulares brasileños.", EN: "Brazil's mobile 9 was added."},
	RuleMexico1:  {ES: "Se quitó el 1 de los celulares mexicanos.", EN: "Mexico's mobile 1 was removed."},
	RuleCountry:  {ES: "No traía código de país: se tomó el de default_country.", EN: "It had no country code: that of default_country was taken."},
	RuleForeign:  {ES: "Se toma como número internacional y queda tal cual.", EN: "It is taken as an international number and stays as it is."}, //nolint:misspell // Spanish
}

// Text describes the rule in "en", or else in Spanish.
func (r Rule) Text(language string) string { return sentences[r].In(language) }

// Explanation is a key with the rules that led to it.
type Explanation struct {
	Raw     string `json:"raw"`
	Key     string `json:"key"`
	E164    string `json:"e164"`
	Country string `json:"default_country"`
	Rules   []Rule `json:"rules"`
}

// Explain returns what Key returns, with the rules that led to it.
func Explain(raw, country string) Explanation {
	e := Explanation{Raw: raw, Country: strings.ToUpper(country), Rules: []Rule{}}
	e.Key = canonical(raw, country, &e.Rules)
	if e.Key != "" {
		e.E164 = "+" + e.Key
	}
	return e
}
