// Package bench holds the long proofs. They start the real program as a process, inject
// faults, and then verify every message. It must never look inside the program: it uses
// only the webhook, the API and a fake WhatsApp.
package bench
