package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

// picture is a picture that a person sends.
func picture(p inbound.Person, id string, at time.Time) inbound.Arrival {
	a := says(p, id, "", at)
	a.Content.Type = "image"
	return a
}

func files(t *testing.T, e Engine) {
	t.Run("six that come together get one answer", func(t *testing.T) {
		for _, at := range []string{"at once", "one by one"} {
			d := open(t, e)
			id := d.say(person(1), "a", "1").Conversation
			replies, together := 0, 0
			var batch []inbound.Arrival
			for i := range 6 {
				batch = append(batch, picture(person(1), fmt.Sprint("p", i), d.now.Add(time.Second)))
			}
			if at == "one by one" {
				for _, a := range batch {
					r := d.handle(a)
					replies += r.Replies
					if r.Reason == router.Together {
						together++
					}
					d.reopen()
				}
			} else {
				for _, r := range d.turn(batch...) {
					replies += r.Replies
					if r.Reason == router.Together {
						together++
					}
				}
			}
			if replies != 1 || together != 5 {
				t.Errorf("%s: %d answers, %d that came together", at, replies, together)
			}
			if c := d.conversation(id); c.Invalid != 1 || c.FileAt.IsZero() {
				t.Errorf("%s: got %+v", at, c)
			}
			d.tick(time.Minute)
			if r := d.handle(picture(person(1), "later", d.now)); r.Replies != 1 {
				t.Errorf("%s: a file of its own got %+v", at, r)
			}
		}
	})
}
