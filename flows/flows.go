// Package flows carries the conversations that ship with the program, so that
// the binary can start without a file beside it. It holds data only.
package flows

import "embed"

// FS holds psi.yaml and its transcripts.
//
//go:embed *.yaml *.chat
var FS embed.FS
