package whatsapp

import "github.com/psivisionhub/psi-router/internal/outbound"

// Class returns the class of an error code.
func Class(number int) (class outbound.Class, known bool) {
	c, known := lookUp(number)
	return c.class, known
}
