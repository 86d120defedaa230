// Package bench holds the long proofs: they start the real program as a process
// of its own, hurt it, and ask afterwards for every message. It must never look
// inside the program: webhook, API and a fake WhatsApp are all it uses.
package bench
