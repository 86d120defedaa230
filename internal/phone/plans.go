package phone

import (
	"slices"
	"strings"
)

// plan describes how one country writes its national numbers.
type plan struct {
	code   string
	mobile string // goes between country code and number
	// trunk lists the prefixes for calls within the country, longest first.
	trunk   []string
	lengths []int // of a national number without trunk prefix
	// starts are the first digits of national numbers; empty means any.
	starts string
	// fold unifies the forms of one national number; nil if there is only one.
	fold func(national string, note func(Rule)) string
	// read replaces the rules above if they are not enough.
	read func(digits string, note func(Rule)) (string, bool)
}

// plans are those of the countries in which default_country has an effect. Elsewhere
// numbers are taken as international.
var plans = map[string]plan{
	"AR": {code: "54", mobile: "9", read: argentine},
	"BO": {code: "591", trunk: []string{"0"}, lengths: []int{8}},
	"BR": {code: "55", trunk: []string{"0"}, lengths: []int{10, 11}, fold: brazilian},
	"CL": {code: "56", lengths: []int{9}},
	"CO": {code: "57", lengths: []int{10}, starts: "36"},
	"CR": {code: "506", lengths: []int{8}},
	"EC": {code: "593", trunk: []string{"0"}, lengths: []int{8, 9}},
	"ES": {code: "34", lengths: []int{9}, starts: "6789"},
	"MX": {code: "52", trunk: []string{"044", "045", "01"}, lengths: []int{10}},
	"PE": {code: "51", lengths: []int{9}, starts: "9"},
	"PY": {code: "595", trunk: []string{"0"}, lengths: []int{9}, starts: "9"},
	"US": {code: "1", lengths: []int{10}, starts: "23456789"},
	"UY": {code: "598", trunk: []string{"0"}, lengths: []int{8}, starts: "249"},
	"VE": {code: "58", trunk: []string{"0"}, lengths: []int{10}, starts: "24"},
}

// national reads digits as a number of this country, without trunk prefix.
func (p plan) national(digits string, note func(Rule)) (string, bool) {
	if p.read != nil {
		return p.read(digits, note)
	}
	fits := func(n string) bool {
		return slices.Contains(p.lengths, len(n)) && (p.starts == "" || strings.IndexByte(p.starts, n[0]) >= 0)
	}
	for _, t := range p.trunk {
		if n, found := strings.CutPrefix(digits, t); found && fits(n) {
			note(RuleTrunk)
			return p.folded(n, note), true
		}
	}
	if !fits(digits) {
		return "", false
	}
	return p.folded(digits, note), true
}

func (p plan) folded(national string, note func(Rule)) string {
	if p.fold == nil {
		return national
	}
	return p.fold(national, note)
}

// brazilian adds the 9 that Brazil's mobiles got between 2012 and 2016 to a national number
// without it: WhatsApp still uses the old form for people who registered before. Old mobiles
// began with 6 to 9 and landlines begin with 2 to 5, so no two numbers get the same key
// (Anatel, resolution 553/2010).
func brazilian(national string, note func(Rule)) string {
	if len(national) != 10 || national[0] == '0' || national[1] == '0' || national[2] < '6' {
		return national
	}
	note(RuleBrazil9)
	return national[:2] + "9" + national[2:]
}

// argentine reads digits (without 54) as an Argentine number: ten digits of area code and
// subscriber. It removes the trunk 0, the mobile 9, and the 15 that people dial within the
// country between area code and number.
func argentine(digits string, note func(Rule)) (string, bool) {
	n := strings.TrimLeft(digits, "0")
	trunk := n != digits
	n, nine := strings.CutPrefix(n, "9") // no area code begins with 9
	if nine {
		n = strings.TrimLeft(n, "0")
	}
	var how Rule
	switch {
	case len(n) == 10 && strings.HasPrefix(n, "15"):
		// Only Buenos Aires has numbers of eight digits.
		n, how = "11"+n[2:], RuleLocal15
	case len(n) == 12:
		area := areaLength(n)
		if area == 0 || n[area:area+2] != "15" {
			return "", false
		}
		n, how = n[:area]+n[area+2:], RuleArea15
	case len(n) != 10:
		return "", false
	}
	if areaLength(n) == 0 {
		return "", false
	}
	if trunk {
		note(RuleTrunk)
	}
	if how != "" {
		note(how)
	}
	if !nine {
		note(RuleMobile9)
	}
	return n, true
}

// areaLength returns how many digits of an Argentine number are its area code, 0 if there is
// no such area code.
func areaLength(n string) int {
	switch {
	case strings.HasPrefix(n, "11"):
		return 2
	case n[0] != '2' && n[0] != '3':
		return 0
	case slices.Contains(areas3, n[:3]):
		return 3
	default:
		return 4
	}
}

// areas3 are Argentina's area codes of three digits (ENACOM's numbering plan);
// 11 has two and all others have four.
var areas3 = []string{
	"220", "221", "223", "230", "236", "237", "249", "260", "261", "263", "264", "266", "280",
	"291", "294", "297", "298", "299", "336", "341", "342", "343", "345", "348", "351", "353",
	"358", "362", "364", "370", "376", "379", "380", "381", "383", "385", "387", "388",
}
