package phone

import (
	"testing"
)

func TestKey(t *testing.T) {
	t.Parallel()
	const ba, mdq, cba, mar = "5491155550001", "5492235550001", "5493515550001", "5492346550001"
	tests := []struct{ raw, country, want string }{
		// As WhatsApp and Evolution send them.
		{"5491155550001", "AR", ba},
		{"5491155550001", "", ba},
		{"541155550001", "", ba},
		{"5491155550001@s.whatsapp.net", "AR", ba},
		{"5491155550001:12@s.whatsapp.net", "AR", ba},
		{"5491155550001@c.us", "", ba},
		{"120363041234567890@g.us", "AR", ""},
		{"204836254128365@lid", "AR", ""},
		{"status@broadcast", "AR", ""},
		{"AR.13491208655302741918", "AR", ""},
		// As people write them: Buenos Aires.
		{"+54 9 11 5555-0001", "AR", ba},
		{"+54 11 5555-0001", "AR", ba},
		{"+54 (11) 15 5555-0001", "AR", ba},
		{"+54 9 11 15 5555-0001", "AR", ba},
		{"+54 011 15 5555 0001", "AR", ba},
		{"+54 (0)11 5555 0001", "AR", ba},
		{"54 9 011 5555 0001", "AR", ba},
		{"54 9 011 15 5555 0001", "AR", ba},
		{"0054 9 11 5555 0001", "AR", ba},
		{"00 54 11 5555 0001", "UY", ba},
		{"011 5555-0001", "AR", ba},
		{"011 15 5555-0001", "AR", ba},
		{"(011) 15-5555-0001", "AR", ba},
		{"11 5555 0001", "AR", ba},
		{"1155550001", "AR", ba},
		{"11 15 5555 0001", "AR", ba},
		{"15 5555 0001", "AR", ba},
		{"1555550001", "AR", ba},
		{"54 15 5555 0001", "AR", ba},
		{"9 11 5555 0001", "AR", ba},
		{"09 11 5555 0001", "AR", ba},
		{"tel:+54-9-11-5555-0001", "AR", ba},
		{"whatsapp:+5491155550001", "AR", ba},
		{"  +54.9.11.5555.0001  ", "ar", ba},
		{"＋54 9 11 5555 0001", "AR", ba},
		// Area codes of three and four digits.
		{"223 555 0001", "AR", mdq},
		{"0223 155 550001", "AR", mdq},
		{"223 15 555 0001", "AR", mdq},
		{"+54 223 15 555 0001", "AR", mdq},
		{"+54 9 223 555 0001", "AR", mdq},
		{"0351 15 555-0001", "AR", cba},
		{"351 5550001", "AR", cba},
		{"54 351 5550001", "", cba},
		{"02346 15 55-0001", "AR", mar},
		{"2346 550001", "AR", mar},
		{"+54 2346 15 550001", "AR", mar},
		{"54 9 2346 15 550001", "", mar},
		// A 15 that belongs to the number stays.
		{"+54 9 11 1555 0001", "AR", "5491115550001"},
		{"5491115550001", "AR", "5491115550001"},
		{"0351 155 0001", "AR", "5493511550001"},
		// Too short or too long to be read: as they came.
		{"5555-0001", "AR", "55550001"},
		{"155 550001", "AR", "155550001"},
		{"54911555500", "AR", "54911555500"},
		{"54911555500012345", "AR", "54911555500012345"},
		{"911", "AR", "911"},
		{"549155550001", "AR", "549155550001"},
		// Mexico.
		{"5215512345678", "AR", "525512345678"},
		{"+52 1 55 1234 5678", "", "525512345678"},
		{"525512345678", "AR", "525512345678"},
		{"55 1234 5678", "MX", "525512345678"},
		{"044 55 1234 5678", "MX", "525512345678"},
		{"01 55 1234 5678", "MX", "525512345678"},
		{"521234567890", "AR", "521234567890"}, // area 123…: no mobile 1
		{"5491155550001", "MX", ba},
		// Brazil: mobiles get their 9, which WhatsApp sometimes leaves out.
		{"5511987654321", "AR", "5511987654321"},
		{"551187654321", "AR", "5511987654321"},
		{"551187654321@s.whatsapp.net", "", "5511987654321"},
		{"+55 51 6765-4321", "", "5551967654321"},
		{"+55 11 98765-4321", "", "5511987654321"},
		{"011 8765-4321", "BR", "5511987654321"},
		{"(11) 8765-4321", "BR", "5511987654321"},
		{"551123456789", "", "551123456789"}, // landlines
		{"551156789012", "", "551156789012"},
		{"(11) 5678-9012", "BR", "551156789012"},
		{"550187654321", "", "550187654321"}, // no area code
		{"55118765432", "", "55118765432"},   // too short
		{"55", "", "55"},
		// Others are left alone.
		{"16315551181", "AR", "16315551181"},
		{"+1 (631) 555-1181", "AR", "16315551181"},
		{"34612345678", "AR", "34612345678"},
		{"+34 612 34 56 78", "AR", "34612345678"},
		{"56912345678", "AR", "56912345678"},
		{"59899123456", "AR", "59899123456"},
		{"595981123456", "AR", "595981123456"},
		{"59171234567", "AR", "59171234567"},
		{"51987654321", "AR", "51987654321"},
		{"573001234567", "AR", "573001234567"},
		{"351912345678", "AR", "351912345678"}, // Portugal, not Córdoba
		{"+354 612 3456", "AR", "3546123456"},  // Iceland, not Córdoba
		{"3546123456", "", "3546123456"},
		{"4915112345678", "AR", "4915112345678"},
		{"919876543210", "AR", "919876543210"},
		// National numbers elsewhere.
		{"099 123 456", "UY", "59899123456"},
		{"9 1234 5678", "CL", "56912345678"},
		{"0981 123456", "PY", "595981123456"},
		{"(11) 98765-4321", "BR", "5511987654321"},
		{"612 34 56 78", "ES", "34612345678"},
		{"(631) 555-1181", "US", "16315551181"},
		{"1155550001", "XX", "1155550001"},
		{"1155550001", "", "1155550001"},
		// Nothing to work with.
		{"", "AR", ""},
		{"hola", "AR", ""},
		{"+", "AR", ""},
		{"000", "AR", ""},
		{"0", "AR", "0"},
	}
	if len(tests) < 60 {
		t.Fatalf("the golden table has %d rows", len(tests))
	}
	for _, tt := range tests {
		got := Key(tt.raw, tt.country)
		if got != tt.want {
			t.Errorf("Key(%q, %q) = %q, want %q", tt.raw, tt.country, got, tt.want)
		}
		if again := Key(got, ""); again != got {
			t.Errorf("Key(%q, %q) = %q is not its own key: %q", tt.raw, tt.country, got, again)
		}
	}
}

func TestExplainTellsEveryRule(t *testing.T) {
	t.Parallel()
	seen := map[Rule]bool{}
	for _, tt := range []struct {
		raw, country string
		want         []Rule
	}{
		{"011 15 5555-0001", "AR", []Rule{RuleTrunk, RuleArea15, RuleMobile9, RuleCountry}},
		{"15 5555-0001", "AR", []Rule{RuleLocal15, RuleMobile9, RuleCountry}},
		{"5491155550001", "AR", []Rule{}},
		{"5491155550001@s.whatsapp.net", "AR", []Rule{RuleJID}},
		{"005215512345678", "AR", []Rule{RuleExit, RuleMexico1}},
		{"551187654321", "AR", []Rule{RuleBrazil9}},
		{"011 8765-4321", "BR", []Rule{RuleTrunk, RuleBrazil9, RuleCountry}},
		{"34612345678", "AR", []Rule{RuleForeign}},
		{"1@lid", "AR", []Rule{RuleNotPhone}},
	} {
		e := Explain(tt.raw, tt.country)
		if e.Key != Key(tt.raw, tt.country) {
			t.Errorf("Explain(%q) gives %q, Key %q", tt.raw, e.Key, Key(tt.raw, tt.country))
		}
		if len(e.Rules) != len(tt.want) {
			t.Errorf("Explain(%q) rules %v, want %v", tt.raw, e.Rules, tt.want)
			continue
		}
		for i, r := range e.Rules {
			seen[r] = true
			if r != tt.want[i] {
				t.Errorf("Explain(%q) rules %v, want %v", tt.raw, e.Rules, tt.want)
			}
			if r.Text("es") == "" || r.Text("en") == "" {
				t.Errorf("rule %s has no sentence", r)
			}
		}
	}
	for r := range sentences {
		if !seen[r] {
			t.Errorf("no case for rule %s", r)
		}
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"": "", "12": "**", "123": "***", "5491155550001": "***001", "añoño": "***oño", "ññ": "**",
	} {
		if got := Masked(id).String(); got != want {
			t.Errorf("Mask(%q) = %q, want %q", id, got, want)
		}
	}
	if got := Masked("5491155550001").LogValue().String(); got != "***001" {
		t.Errorf("LogValue = %q", got)
	}
}

func FuzzKey(f *testing.F) {
	for _, s := range []string{"+54 9 11 5555-0001", "011 15 5555 0001", "5215512345678", "0000549", "1@lid", "AR.1", "+0", "54915"} {
		f.Add(s, "AR")
		f.Add(s, "")
		f.Add(s, "MX")
	}
	f.Fuzz(func(t *testing.T, raw, country string) {
		key := Key(raw, country)
		for _, r := range key {
			if r < '0' || r > '9' {
				t.Fatalf("Key(%q, %q) = %q holds more than digits", raw, country, key)
			}
		}
		if again := Key(key, ""); again != key {
			t.Fatalf("Key(%q, %q) = %q is not its own key: %q", raw, country, key, again)
		}
		if e := Explain(raw, country); e.Key != key {
			t.Fatalf("Explain(%q, %q) says %q, Key %q", raw, country, e.Key, key)
		}
	})
}

func BenchmarkKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Key("5491155550001", "AR")
	}
}
