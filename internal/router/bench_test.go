package router

import "testing"

// BenchmarkStep measures a decision. Every message takes one inside its transaction.
func BenchmarkStep(b *testing.B) {
	rules := psiRules(b)
	in := Conversation{State: StateMenu, Line: "wsp4", Menu: "admin", Epoch: 3, LastInbound: monday}
	for name, m := range map[string]Message{
		"code": text("11"), "synonym": text("becas"), "free": text("tengo 2 hijos y quiero anotarlos"), "long": text(string(make([]byte, 4096))),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				rules.Step(in, m, monday)
			}
		})
	}
}
