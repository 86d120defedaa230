package store

// PumpResult is one round's work.
type PumpResult struct {
	Numbered int
	Timers   int
	Wakes    []Wake
	// Media are files that wait to be fetched.
	Media []MediaRef
	// NoticesPending says that some were not tried yet: see Store.UntriedNotices.
	NoticesPending bool
	// ApologiesDue says that somebody was left for long enough: see Store.Apologize.
	ApologiesDue bool
	// More is set when the round stopped at its size limit: call again.
	More bool
}
