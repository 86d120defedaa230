// Package queuetest says what a queue engine must do, in two forms: a small
// in-memory model that is itself a complete engine, and a conformance suite
// (Run) that every engine passes, the model included. It is for tests: the
// model forgets everything with its process and must never run in production.
//
// # What the words of package queue leave open, settled here
//
//   - A lane is served by its due time; of those due at the same moment, the one
//     whose head was enqueued first.
//   - A wake-up (a job without ID) is coalesced when its lane holds a job that
//     is not under a lease: whatever runs next there will see what it announces.
//     It must not carry a body.
//   - Retry always counts an attempt. A lease that runs out marks the job
//     suspect, and counts only if the job was suspect already.
//   - A lease that ran out can still be settled until somebody else claims the
//     job.
//   - A limit of N per second hands out at most N in any second [t, t+1s). A burst
//     of b is paid for by the steady rate, which becomes N-b+1 per second; b is
//     held between 1 and N/2.
//   - No delay and no lease is longer than MaxDelay; a due time beyond that was
//     written by a clock that has been set back since, and is pulled in.
//   - Depth is checked against the whole batch, duplicates included, before
//     anything is written.
//   - Hold, SetLimit and Enqueue make a queue; Pause and Resume of a queue that
//     was never made are ErrNotFound.
//   - Dead letters are listed without bodies; the empty queue name lists all.
package queuetest
