package limits

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// each checks one value at a time.
func each(look func(spot) *Flaw) check {
	return func(spots []spot) (flaws []Flaw) {
		for _, s := range spots {
			if f := look(s); f != nil {
				flaws = append(flaws, *f)
			}
		}
		return flaws
	}
}

// combine runs several checks one after another.
func combine(checks ...check) check {
	return func(spots []spot) (flaws []Flaw) {
		for _, c := range checks {
			flaws = append(flaws, c(spots)...)
		}
		return flaws
	}
}

// text wants a string of least to most Units; with least 0 it may be missing.
func text(least, most int) check {
	want := fmt.Sprintf("%d to %d characters", least, most)
	return each(func(s spot) *Flaw {
		words, is := s.value.(string)
		switch {
		case s.value == nil && least == 0:
			return nil
		case s.value == nil:
			return s.flaw("missing", want)
		case !is:
			return s.flaw("no text", want)
		case least > 0 && strings.TrimSpace(words) == "":
			return s.flaw("empty", want)
		case Units(words) > most:
			return s.flaw(fmt.Sprintf("%d characters", Units(words)), want)
		}
		return nil
	})
}

// id wants a unique text without spaces around it.
func id(most int) check {
	return combine(text(1, most), unique, each(func(s spot) *Flaw {
		if words, _ := s.value.(string); strings.TrimSpace(words) != words {
			return s.flaw("spaces around it", "none")
		}
		return nil
	}))
}

// unique wants each text only once.
func unique(spots []spot) (flaws []Flaw) {
	first := map[string]string{}
	for _, s := range spots {
		words, _ := s.value.(string)
		if where, twice := first[words]; twice && words != "" {
			flaws = append(flaws, *s.flaw("the same as "+where, "each once"))
			continue
		}
		first[words] = s.place
	}
	return flaws
}

// titledIfMany wants a text in each spot if there are several.
func titledIfMany(spots []spot) []Flaw {
	if len(spots) < 2 {
		return nil
	}
	return text(1, SectionTitle)(spots)
}

// anyNumber is a count without a bound.
const anyNumber = 1 << 20

// count wants a list of least to most items.
func count(least, most int) check {
	want := fmt.Sprintf("%d to %d", least, most)
	if most == anyNumber {
		want = "a list"
	}
	return each(func(s spot) *Flaw {
		items, is := s.value.([]any)
		switch {
		case s.value == nil:
			return s.flaw("missing", want)
		case !is:
			return s.flaw("no list", want)
		case len(items) < least || len(items) > most:
			return s.flaw(strconv.Itoa(len(items)), want)
		}
		return nil
	})
}

// atMost bounds the number of values of a path. The flaw is at the first value too many.
func atMost(most int) check {
	return func(spots []spot) []Flaw {
		if len(spots) <= most {
			return nil
		}
		return []Flaw{*spots[most].flaw(fmt.Sprintf("%d over all", len(spots)), fmt.Sprintf("%d over all", most))}
	}
}

func oneOf(words ...string) check {
	want := strings.Join(words, ", ")
	return each(func(s spot) *Flaw {
		word, _ := s.value.(string)
		switch {
		case s.value == nil:
			return s.flaw("missing", want)
		case !slices.Contains(words, word):
			return s.flaw("another word", want)
		}
		return nil
	})
}

// oneMember wants exactly one of an object's members.
func oneMember(names ...string) check {
	return each(func(s spot) *Flaw {
		n := 0
		for _, name := range names {
			if wordAt(s.value, name) != "" {
				n++
			}
		}
		if n == 1 {
			return nil
		}
		return s.flaw(fmt.Sprintf("%d of %s", n, strings.Join(names, ", ")), "exactly one of them")
	})
}

// number wants a number. Meta also accepts one in a string.
func number(least, most float64) check {
	want := fmt.Sprintf("%g to %g", least, most)
	return each(func(s spot) *Flaw {
		n, is := numberOf(s.value)
		switch {
		case s.value == nil:
			return s.flaw("missing", want)
		case !is:
			return s.flaw("no number", want)
		case n < least || n > most:
			return s.flaw(fmt.Sprintf("%g", n), want)
		}
		return nil
	})
}

func numberOf(value any) (float64, bool) {
	switch n := value.(type) {
	case float64:
		return n, true
	case string:
		parsed, err := strconv.ParseFloat(n, 64)
		return parsed, err == nil && parsed == parsed // NaN is no number
	}
	return 0, false
}

// whole wants a number without a fraction.
func whole(least, most float64) check {
	return combine(number(least, most), each(func(s spot) *Flaw {
		if n, is := numberOf(s.value); is && n != math.Trunc(n) {
			return s.flaw(fmt.Sprintf("%g", n), "a whole number")
		}
		return nil
	}))
}

// link wants an http or https address.
func link(spots []spot) []Flaw {
	return each(func(s spot) *Flaw {
		address, _ := s.value.(string)
		scheme, rest, _ := strings.Cut(address, "://")
		host := strings.TrimLeft(rest, " ")
		if end := strings.IndexAny(host, "/?#:"); end >= 0 {
			host = host[:end]
		}
		if scheme = strings.ToLower(scheme); scheme != "https" && scheme != "http" || host == "" {
			return s.flaw("no link", "an address with https:// or http://")
		}
		return nil
	})(spots)
}

// absent wants no value.
func absent(spots []spot) []Flaw {
	return each(func(s spot) *Flaw {
		if s.value != nil {
			return s.flaw("there", "none here")
		}
		return nil
	})(spots)
}

// header wants the header of an interactive message: a text, or a file by its id or link.
func header(types ...string) check {
	return func(spots []spot) (flaws []Flaw) {
		for _, s := range spots {
			kind := wordAt(s.value, "type")
			at := resolve(s, []string{"type"})
			if flaws = append(flaws, oneOf(types...)(at)...); len(flaws) > 0 {
				continue
			}
			at = resolve(s, []string{kind})
			if kind == "text" {
				flaws = append(flaws, text(1, Header)(at)...)
				continue
			}
			flaws = append(flaws, oneMember("id", "link")(at)...)
		}
		return flaws
	}
}
