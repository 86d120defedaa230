package router

import (
	"testing"
	"time"
)

// FuzzStep feeds Step conversations and messages that no store or decoder would make. It must
// still decide and keep its promises.
func FuzzStep(f *testing.F) {
	rules := psiRules(f)
	f.Add("menu", "wsp4", "", int64(0), 0, uint8(0), "text", "hola", "", uint16(0), int64(0))
	f.Add("menu", "wsp4", "admin", int64(3), 2, uint8(20), "interactive", "Pagos", "admin/11/3", uint16(0), int64(90000))
	f.Add("handed_off", "wsp4", "", int64(1), 0, uint8(21), "text", "MENU", "", uint16(64), int64(3600))
	f.Add("closed", "ventas_api", "gone", int64(-1), 9, uint8(200), "image", "11", "a/b/c", uint16(4), int64(-5))
	f.Add("", "", "", int64(7), -1, uint8(1), "", "\xff\xfe", "/", uint16(511), int64(1))
	f.Fuzz(func(t *testing.T, state, line, menu string, epoch int64, invalid int, auto uint8, kind, text, reply string, flags uint16, wait int64) {
		on := func(bit uint) bool { return flags>>bit&1 == 1 }
		now := monday.Add(time.Duration(wait%(1<<40)) * time.Millisecond)
		c := Conversation{
			State: State(state), Line: line, Menu: menu, Epoch: epoch % (1 << 62), Invalid: invalid, Offered: on(6),
			LastInbound: monday, LastHuman: monday,
		}
		for i := range int(auto) {
			c.Auto = append(c.Auto, now.Unix()-int64(i))
		}
		if on(7) {
			c.TimeoutAt = monday
		}
		m := Message{
			Type: kind, Text: text, ReplyID: reply, Stale: on(0), Late: on(1), Group: on(2), Blocked: on(3), OptedOut: on(4), Echo: on(5),
		}
		if on(8) {
			m.SentAt, m.ReceivedAt = monday, now
		}
		rules.Step(c, m, now)
		switch c.State {
		case StateHandedOff, StateClosed, StateDisconnected:
		default:
			c.State = StateMenu
		}
		if c.State == StateHandedOff && rules.HandoffTimeout > 0 && c.TimeoutAt.IsZero() {
			c.TimeoutAt = monday.Add(rules.HandoffTimeout)
		}
		checkStep(t, rules, c, m, now)
		rules.Apply(c, Command{Kind: CommandKind(text), Area: menu}, now)
		Rules{}.Step(c, m, now)
	})
}
