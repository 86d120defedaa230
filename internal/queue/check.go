package queue

import (
	"errors"
	"fmt"
	"time"
)

// Check returns an error for a job that no engine takes.
func (j Job) Check() error {
	if j.Queue == "" || j.ID == "" && len(j.Body) > 0 {
		return errors.New("enqueue: a job needs a queue, and an ID when it has a body")
	}
	return nil
}

// CheckExchange returns an error for arguments that no engine's Exchange takes.
func CheckExchange(outcomes []Outcome, want int, lease time.Duration) error {
	if want > 0 && lease <= 0 {
		return errors.New("exchange: a claim needs a lease")
	}
	for _, o := range outcomes {
		if o.Verdict < Done || o.Verdict > Dead {
			return fmt.Errorf("exchange: verdict %d", o.Verdict)
		}
	}
	return nil
}
