package whatsapp

import "github.com/psivisionhub/psi-router/internal/outbound"

// Class is the verdict on an error code.
func Class(number int) (class outbound.Class, known bool) {
	c, known := lookUp(number)
	return c.class, known
}
