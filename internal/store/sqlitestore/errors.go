package sqlitestore

import (
	"errors"
	"fmt"

	"github.com/psivisionhub/psi-router/internal/sqlite"
	"github.com/psivisionhub/psi-router/internal/store"
)

func wrap(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case sqlite.Unavailable(err) && !errors.Is(err, store.ErrUnavailable):
		return fmt.Errorf("%s: %w: %w", what, store.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
