// Package admission bounds the resources of callers who are not authenticated yet: memory for
// bodies, connections and time. It must never know what a request is about, nor refuse one for
// its content.
package admission

import (
	"cmp"
	"log/slog"
	"net/netip"
	"time"
)

// Options of New. The zero Options are valid.
type Options struct {
	// Proxies are the networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	Log     *slog.Logger // nil discards
}

// Control is the admission state that all listeners of a process share. It is safe for
// concurrent use.
type Control struct {
	Proxies  Proxies
	Room     *Room
	Known    *Known
	Refusals *Refusals
}

// New returns an empty Control.
func New(o Options) *Control {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return &Control{Proxies: o.Proxies, Room: NewRoom(), Known: &Known{}, Refusals: newRefusals(o.Log)}
}

// Exempt reports whether only the bounds of the whole process apply to the address: a proxy may
// stand for everybody, and others must not be able to shut out an address that proved to be
// Meta's.
func (c *Control) Exempt(addr netip.Addr, now time.Time) bool {
	return c.Proxies.IsProxy(addr) || c.Known.Contains(addr, now)
}

// Sender is the sender of a body, with the bounds that apply.
type Sender struct {
	Addr netip.Addr
	// Exempt senders are not bound by address.
	Exempt bool
	// OneAtATime senders may have one body under way.
	OneAtATime bool
}

// Sender returns the bounds of an address. One that was refused too often may send one body at
// a time; it is not refused unread, as one of its bodies may be Meta's.
func (c *Control) Sender(addr netip.Addr, now time.Time) Sender {
	exempt := c.Exempt(addr, now)
	return Sender{Addr: addr, Exempt: exempt, OneAtATime: !exempt && c.Refusals.Over(addr, now)}
}
