// Package admission bounds what is held for those of whom it is not known yet who
// they are: bytes of bodies, connections, and time. It must never know what a
// request is about, nor refuse anything for what it says.
package admission

import (
	"log/slog"
	"net/netip"
	"time"
)

// Options of New; the zero Options are complete.
type Options struct {
	// Proxies are the networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	Log     *slog.Logger // nil discards
}

// Control is what the doors of one process share.
type Control struct {
	Proxies  Proxies
	Room     *Room
	Known    *Known
	Refusals *Refusals
}

// New returns a Control that has refused nobody yet.
func New(o Options) *Control {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Control{Proxies: o.Proxies, Room: NewRoom(), Known: &Known{}, Refusals: newRefusals(o.Log)}
}

// Exempt reports whether the address is bound by nothing but what bounds the whole
// process: all the world may be behind a proxy, and who proved to be Meta must not
// be switched off by others.
func (c *Control) Exempt(addr netip.Addr, now time.Time) bool {
	return c.Proxies.IsProxy(addr) || c.Known.Contains(addr, now)
}

// Sender is who a body comes from, as far as its bounds go.
type Sender struct {
	Addr netip.Addr
	// Exempt senders are not bound by address.
	Exempt bool
	// OneAtATime is one body at a time.
	OneAtATime bool
}

// Sender returns the bounds of an address: who was refused too often is served one
// body at a time, and not refused unread, as one of its bodies may be Meta's.
func (c *Control) Sender(addr netip.Addr, now time.Time) Sender {
	exempt := c.Exempt(addr, now)
	return Sender{Addr: addr, Exempt: exempt, OneAtATime: !exempt && c.Refusals.Over(addr, now)}
}
