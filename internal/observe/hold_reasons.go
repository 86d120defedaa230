package observe

import "strings"

// holdReasons are the sentences with which worker and delivery hold a queue, in
// Spanish. What comes after one is what its provider or engine said.
var holdReasons = map[string]string{
	"WhatsApp refuses our token, permission or account: a person must act":              "el proveedor rechaza el token, el permiso o la cuenta: tiene que actuar una persona",
	"sending is throttled or WhatsApp is down":                                          "el proveedor pide ir más despacio, o no anda",
	"answers do not come: what is sent becomes uncertain":                               "no llegan respuestas: no se sabe si lo que se manda sale",
	"the endpoint cannot be reached, or asks for less":                                  "no se llega al receptor de eventos, o pide ir más despacio",
	"the endpoint refuses us: a person must look at its address, secret and permission": "el receptor de eventos nos rechaza: alguien tiene que revisar la dirección, el secreto y los permisos",
	"the endpoint takes no event":                                                       "el receptor de eventos no acepta ninguno",
	"a message was refused, and the next one shows whether it is the line":              "se rechazó un mensaje, y el próximo muestra si es por la línea",
	"nothing can be sent":                         "no se puede mandar nada",
	"no message can be handled":                   "no se puede procesar ningún mensaje",
	"the store cannot be reached or cannot write": "no se llega a la base de datos, o no se puede escribir en ella",
}

// HoldReason says in the language why a queue is held. What it does not know stays as
// it came.
func HoldReason(lang, why string) string {
	if lang == "en" {
		return why
	}
	for english, spanish := range holdReasons {
		if before, after, found := strings.Cut(why, english); found {
			return before + spanish + after
		}
	}
	return why
}
