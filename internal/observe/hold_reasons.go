package observe

import (
	"strings"

	"github.com/psivisionhub/psi-router/internal/lang"
)

// holdReasons are the sentences with which worker and delivery hold a queue: they
// write the English one. What comes after it is what the provider or engine said.
var holdReasons = []lang.Text{
	{EN: "WhatsApp refuses our token, permission or account: a person must act", ES: "el proveedor rechaza el token, el permiso o la cuenta: tiene que actuar una persona"},
	{EN: "sending is throttled or WhatsApp is down", ES: "el proveedor pide ir más despacio, o no anda"},
	{EN: "answers do not come: what is sent becomes uncertain", ES: "no llegan respuestas: no se sabe si lo que se manda sale"},
	{EN: "the endpoint cannot be reached, or asks for less", ES: "no se llega al receptor de eventos, o pide ir más despacio"},
	{EN: "the endpoint refuses us: a person must look at its address, secret and permission", ES: "el receptor de eventos nos rechaza: alguien tiene que revisar la dirección, el secreto y los permisos"},
	{EN: "the endpoint takes no event", ES: "el receptor de eventos no acepta ninguno"},
	{EN: "a message was refused, and the next one shows whether it is the line", ES: "se rechazó un mensaje, y el próximo muestra si es por la línea"},
	{EN: "nothing can be sent", ES: "no se puede mandar nada"},
	{EN: "no message can be handled", ES: "no se puede procesar ningún mensaje"},
	{EN: "the store cannot be reached or cannot write", ES: "no se llega a la base de datos, o no se puede escribir en ella"},
}

// HoldReason says in a language why a queue is held. What it does not know stays as
// it came.
func HoldReason(language, why string) string {
	for _, text := range holdReasons {
		if before, after, found := strings.Cut(why, text.EN); found {
			return before + text.In(language) + after
		}
	}
	return why
}
