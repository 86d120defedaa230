package phone

import "strings"

// Key returns the canonical form of a number, the same for all its spellings: digits in
// international form, with the mobile 9 of Argentina and Brazil added and Mexico's 1
// dropped. country (ISO 3166 alpha-2) applies to a national number; "" says that the number
// is international, as a wa_id always is. Key returns "" for anything that is not a number:
// a hidden Evolution id, a group, a business-scoped user id.
//
// A key is its own key: Key(Key(n, c), "") == Key(n, c).
func Key(raw, country string) string { return canonical(raw, country, nil) }

// canonical is Key. It appends each applied rule to trail, unless that is nil.
func canonical(raw, country string, trail *[]Rule) string {
	note := func(r Rule) {
		if trail != nil {
			*trail = append(*trail, r)
		}
	}
	digits, explicit, rule := clean(raw)
	if rule != "" {
		note(rule)
	}
	if digits == "" {
		return ""
	}
	if strings.HasPrefix(digits, "00") {
		digits, explicit = strings.TrimLeft(digits, "0"), true
		note(RuleExit)
	}
	if p, known := plans[strings.ToUpper(country)]; known && !explicit {
		if national, ok := p.national(digits, note); ok {
			note(RuleCountry)
			return p.code + p.mobile + national
		}
	}
	if explicit {
		digits = strings.TrimLeft(digits, "0")
	}
	return international(digits, note)
}

// Former returns the key that earlier versions gave to the same phone, if it differs:
// Brazil's, without the 9. Otherwise "".
func Former(key string) string {
	if len(key) != 13 || key[:2] != "55" {
		return ""
	}
	if old := key[:4] + key[5:]; Key(old, "") == key {
		return old
	}
	return ""
}

// clean returns the digits of a number. explicit says that it was written with a plus, so
// it is international.
func clean(raw string) (digits string, explicit bool, rule Rule) {
	raw = strings.TrimSpace(raw)
	if user, server, found := strings.Cut(raw, "@"); found {
		switch strings.ToLower(server) {
		case "s.whatsapp.net", "c.us":
			user, _, _ = strings.Cut(user, ":") // :12 is a device
			raw, rule = user, RuleJID
		default:
			return "", false, RuleNotPhone
		}
	}
	if len(raw) > 2 && raw[2] == '.' && letter(raw[0]) && letter(raw[1]) {
		return "", false, RuleNotPhone // AR.1234…: a business-scoped user id
	}
	var b strings.Builder
	for _, r := range raw {
		switch {
		case r >= '0' && r <= '9':
			b.WriteByte(byte(r))
		case (r == '+' || r == '＋') && b.Len() == 0:
			explicit = true
		}
	}
	if b.Len() == 0 {
		rule = RuleNotPhone
	}
	return b.String(), explicit, rule
}

func letter(b byte) bool { return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' }

// international unifies the numbers of countries whose international form has several
// spellings. Others stay as they came.
func international(digits string, note func(Rule)) string {
	switch {
	case strings.HasPrefix(digits, "54"):
		if n, ok := argentine(digits[2:], note); ok {
			return "549" + n
		}
	case strings.HasPrefix(digits, "55"):
		return "55" + brazilian(digits[2:], note)
	case strings.HasPrefix(digits, "521") && len(digits) == 13:
		note(RuleMexico1)
		return "52" + digits[3:]
	default:
		note(RuleForeign)
	}
	return digits
}
