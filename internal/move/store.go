package move

import (
	"cmp"
	"context"
	"fmt"

	"github.com/psivisionhub/psi-router/internal/store/transfer"
)

// StoreSource is the store to move. Nobody else uses it meanwhile.
type StoreSource interface {
	// MoveState returns the state of the move and the installation's name ("" before the
	// first SetMoveState).
	MoveState(ctx context.Context) (d transfer.MoveState, installation string, err error)
	// SetMoveState stores the state of the move. Unless it is NotMoved, nobody can use the
	// store.
	SetMoveState(ctx context.Context, d transfer.MoveState) error
	Count(ctx context.Context, t transfer.Table) (int64, error)
	// Read returns the rows after a cursor in the order of their keys.
	Read(ctx context.Context, t transfer.Table, after string, limit, size int) ([]transfer.Row, error)
}

// StoreTarget is the store to move to. Between Begin and Finish nobody can use it.
type StoreTarget interface {
	State(ctx context.Context) (transfer.TargetState, error)
	// Begin creates the tables and stores the name of the installation. anew empties them.
	Begin(ctx context.Context, installation string, anew bool) error
	// Cursor returns the last row that was imported, and how many were.
	Cursor(ctx context.Context, t transfer.Table) (mark string, rows int64, err error)
	// Import writes rows and the new cursor, all or nothing. It refuses if the cursor is
	// not at after.
	Import(ctx context.Context, t transfer.Table, after string, rows []transfer.Row) error
	// Read calls fn for every imported row, in any order.
	Read(ctx context.Context, t transfer.Table, fn func(transfer.Row) error) error
	Finish(ctx context.Context) error
}

// StoreOptions of Store.
type StoreOptions struct {
	Source   StoreSource
	Target   StoreTarget
	DryRun   bool
	Step     int // rows at once, 1000 if 0
	Progress Progress
}

// step is what is left to do.
type step uint8

const (
	begin step = iota + 1
	beginAnew
	resume
	finish // only the source's state is left to set
	nothing
)

// Store moves a store, or the rest of it.
func Store(ctx context.Context, o StoreOptions) (Report, error) {
	r := Report{DryRun: o.DryRun}
	d, name, err := o.Source.MoveState(ctx)
	if err != nil {
		return r, err
	}
	there, err := o.Target.State(ctx)
	if err != nil {
		return r, err
	}
	todo, err := decide(d, name, there)
	if err != nil {
		return r, err
	}
	r.Already, r.Resumed = todo == nothing, todo == resume
	for _, t := range transfer.Tables() {
		p := Part{Name: t.Name}
		if p.Total, err = o.Source.Count(ctx, t); err != nil {
			return r, err
		}
		if todo >= resume {
			if _, p.Moved, err = o.Target.Cursor(ctx, t); err != nil {
				return r, err
			}
		}
		r.Parts = append(r.Parts, p)
	}
	if o.DryRun || todo == nothing {
		return r, nil
	}
	if todo != finish {
		if err := carry(ctx, o, d, todo == beginAnew, r.Parts); err != nil {
			return r, err
		}
		if err := o.Target.Finish(ctx); err != nil {
			return r, err
		}
	}
	return r, o.Source.SetMoveState(ctx, transfer.Moved)
}

// decide returns the step to begin with, or why the move is refused.
func decide(d transfer.MoveState, name string, there transfer.TargetState) (step, error) {
	ours := there.Source != "" && there.Source == name
	finished := !there.Finished.IsZero()
	switch {
	case ours && finished && d == transfer.Moved:
		return nothing, nil
	case ours && finished && d == transfer.Moving:
		return finish, nil
	case ours && finished:
		return 0, refuse("the database holds a copy of this installation of %s, and the files were used since: name an empty database, "+
			"or drop that copy with: DROP SCHEMA psi_router CASCADE", there.Finished.Format("2006-01-02 15:04"))
	case there.Source != "" && !ours:
		return 0, refuse("this database belongs to the move of another installation: name another one")
	case there.Source == "" && there.NonEmptyTable != "":
		return 0, refuse("the database has another installation's data (table %s has rows): name another one", there.NonEmptyTable)
	case there.InUseBy != "":
		return 0, refuse("the database is in use by %s: stop it first", there.InUseBy)
	case d == transfer.Moved:
		return 0, refuse("this installation was already moved into another database. If its files were used again since, run psi-router store move --undo, then move it again")
	case ours && d == transfer.Moving:
		return resume, nil
	case ours:
		return beginAnew, nil
	default:
		return begin, nil
	}
}

// carry moves the rows and compares the copy. The source is closed to everybody from before
// the first row is read.
func carry(ctx context.Context, o StoreOptions, d transfer.MoveState, anew bool, parts []Part) error {
	if err := o.Source.SetMoveState(ctx, d); err != nil { // from here on it has a name
		return err
	}
	_, name, err := o.Source.MoveState(ctx)
	if err != nil {
		return err
	}
	if err := o.Target.Begin(ctx, name, anew); err != nil {
		return err
	}
	if err := o.Source.SetMoveState(ctx, transfer.Moving); err != nil {
		return err
	}
	for i, t := range transfer.Tables() {
		if err := carryTable(ctx, o, t, &parts[i]); err != nil {
			return err
		}
	}
	for i, t := range transfer.Tables() {
		if err := compare(ctx, o, t, &parts[i]); err != nil {
			return err
		}
	}
	return nil
}

func carryTable(ctx context.Context, o StoreOptions, t transfer.Table, p *Part) error {
	mark, moved, err := o.Target.Cursor(ctx, t)
	if err != nil {
		return err
	}
	for p.Moved = moved; ; {
		o.Progress.tell(*p, false)
		rows, err := o.Source.Read(ctx, t, mark, cmp.Or(o.Step, stepRows), stepBytes)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := o.Target.Import(ctx, t, mark, rows); err != nil {
			return err
		}
		mark = t.Cursor(rows[len(rows)-1])
		p.Moved += int64(len(rows))
	}
}

// compare reads both sides from end to end.
func compare(ctx context.Context, o StoreOptions, t transfer.Table, p *Part) error {
	var here, there transfer.Checksum
	for mark := ""; ; {
		rows, err := o.Source.Read(ctx, t, mark, cmp.Or(o.Step, stepRows), stepBytes)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			here.Add(r)
		}
		mark = t.Cursor(rows[len(rows)-1])
	}
	seen := *p
	seen.Moved = 0
	err := o.Target.Read(ctx, t, func(r transfer.Row) error {
		there.Add(r)
		if seen.Moved++; seen.Moved%stepRows == 0 {
			o.Progress.tell(seen, true)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	p.Sum = there.String()
	o.Progress.tell(*p, true)
	if here != there {
		return fmt.Errorf("%s: %d rows with sum %s became %d with sum %s. The files are untouched: psi-router store move --undo, then move again",
			t.Name, here.Rows, here, there.Rows, there)
	}
	return nil
}

// Undo makes the files usable again, as they were when the move began. What was moved stays
// in the database.
func Undo(ctx context.Context, s StoreSource) (was transfer.MoveState, err error) {
	was, _, err = s.MoveState(ctx)
	if err != nil || was == transfer.NotMoved {
		return was, err
	}
	return was, s.SetMoveState(ctx, transfer.NotMoved)
}
