// Package queuetest defines what a queue engine must do, in two forms: a small in-memory
// model that is itself a complete engine, and a conformance suite (Run) that every engine
// passes, the model included. It is for tests: the model loses everything with its process
// and must never run in production.
//
// # Details that package queue leaves open
//
//   - Lanes are served by due time; of those due at the same moment, the one whose
//     head was enqueued first.
//   - A wake-up (a job without ID) is coalesced if its lane holds a job without a
//     lease: that job will see the change. A wake-up has no body.
//   - Retry always counts an attempt. A lease that runs out marks the job suspect,
//     and counts only if the job was suspect already.
//   - A lease that ran out can still be settled until another worker claims the job.
//   - A limit of N per second hands out at most N in any second [t, t+1s). A burst
//     of b is taken from the steady rate, which becomes N-b+1 per second; b is held
//     between 1 and N/2.
//   - No delay and no lease is longer than MaxDelay. A due time beyond that was
//     written before the clock was set back, and is pulled in.
//   - Depth is checked against the whole batch, duplicates included, before any
//     write.
//   - Hold, SetLimit and Enqueue create a queue; Pause and Resume of a queue that
//     does not exist return ErrNotFound.
//   - Dead letters are listed without bodies; the empty queue name lists all.
package queuetest
