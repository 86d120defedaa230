package main

import "github.com/psivisionhub/psi-router/internal/drill"

// drillWords is what a drill says, in one language.
type drillWords struct {
	title, servers, embedded, fallback   string
	progress, router, silent, sent, done string
	over, interrupted, files             string
	accepted, acceptedMore, handled      string
	late, lateMore, answers, answersMore string
	lost, unanswered, reordered, doubled string
	dead, longest, longestMore           string
	left, leftMore                       string
	door, doorMore, kept, broken         string
	fault, what, outage, outageMore      string
	phases, faults                       map[string]string
}

func drillWordsIn(lang string) drillWords {
	if lang == "en" {
		return drillEnglish()
	}
	return drillSpanish()
}

func drillSpanish() drillWords {
	return drillWords{
		title:    "Simulacro · semilla %d · %s\n%d mensajes de %d personas, %d fallas. Es una instalación aparte: la tuya no se toca.",
		servers:  "Redis y PostgreSQL propios; procesos: %d de webhook, %d de worker",
		embedded: "un proceso sobre SQLite",
		fallback: "Faltan servidores, así que se ensaya con un solo proceso sobre SQLite.",
		progress: "aceptados %d de %d, %.0f/s",
		router:   "decididos %d, en colas %d, por responder %d, muertos %d",
		silent:   "el router no dice cómo está",
		sent:     "respuestas en WhatsApp %d",
		done:     "fallas %d de %d",
		over:     "ya pasó: %s",

		interrupted: "el simulacro se cortó a mitad de camino; no quedó nada corriendo ni nada para borrar",
		files:       "Los archivos y los registros quedaron en",

		accepted: "aceptados", acceptedMore: "%d sin saber si llegaron · %d repetidos a propósito · %d vueltos a mandar tras un fallo",
		handled: "decididos",
		late:    "tarde", lateMore: "llegaron por un desvío: quedan guardados y no cambian nada",
		answers: "respuestas", answersMore: "%d inciertas (pueden haber salido, no se repiten) · %d fallidas con motivo",
		lost: "perdidos", unanswered: "sin respuesta", reordered: "desordenados", doubled: "duplicados", dead: "muertos",
		left: "sin contestar", leftMore: "y nadie les va a escribir: `psi-router left` las lista (tarde, inciertas, fallidas)",
		longest: "espera más larga", longestMore: "hasta la respuesta (p99 %.1f s) · %.1f s hasta la decisión",
		door: "puerta, máximo", doorMore: "p50 %.0f ms · p99 %.0f ms",
		kept:   "Ni un mensaje perdido, desordenado ni duplicado, con %d fallas en %s.",
		broken: "Algo no salió como debía. Con --seed %d pasan las mismas cosas.",
		fault:  "falla", what: "qué pasa",
		outage: "cortes", outageMore: "sin Redis, PostgreSQL o WhatsApp, como lo vivieron los reintentos (%.0f veces más rápido)",
		phases: map[string]string{
			drill.PhaseStart:  "levantando todo",
			drill.PhaseLoad:   "la gente escribe",
			drill.PhaseSettle: "esperando a que se termine lo pendiente",
			drill.PhaseCheck:  "buscando cada mensaje",
		},
		faults: map[string]string{
			"kill_worker":            "kill -9 a un worker",
			"kill_webhook":           "kill -9 a un webhook",
			"kill_router":            "kill -9 al router",
			"freeze_worker":          "un worker se congela unos segundos",
			"freeze_webhook":         "un webhook se congela unos segundos",
			"freeze_router":          "el router se congela unos segundos",
			"stall_worker":           "un worker se congela más de lo que dura su turno",
			"restart_all":            "reinicio de todos los procesos, uno por uno",
			"kill_redis":             "kill -9 a Redis, y vuelve con su AOF",
			"stop_postgres":          "PostgreSQL se apaga un rato",
			"kill_postgres":          "PostgreSQL se cae de golpe",
			"whatsapp_throttles":     "WhatsApp frena los envíos (130429)",
			"whatsapp_refuses_token": "WhatsApp rechaza el token (401, 190)",
			"whatsapp_hangs":         "WhatsApp no contesta",
			"whatsapp_cuts":          "WhatsApp acepta y corta sin contestar",
			"whatsapp_fails":         "WhatsApp falla (500, 131000)",
			"whatsapp_gateway":       "WhatsApp contesta una página de error (500)",
			"whatsapp_unreachable":   "WhatsApp no está",
		},
	}
}

func drillEnglish() drillWords {
	return drillWords{
		title:    "Drill · seed %d · %s\n%d messages of %d people, %d faults. It is an installation of its own: yours is not touched.",
		servers:  "its own Redis and PostgreSQL; processes: %d webhook, %d worker",
		embedded: "one process on SQLite",
		fallback: "Servers are missing, so this drills one process on SQLite.",
		progress: "accepted %d of %d, %.0f/s",
		router:   "decided %d, in queues %d, to be answered %d, dead %d",
		silent:   "the router does not say how it is",
		sent:     "answers at WhatsApp %d",
		done:     "faults %d of %d",
		over:     "over: %s",

		interrupted: "the drill was interrupted; nothing is left running, nor to be removed",
		files:       "Files and logs are in",

		accepted: "accepted", acceptedMore: "%d nobody knows whether they arrived · %d repeated on purpose · %d sent again after a failure",
		handled: "decided",
		late:    "late", lateMore: "came by a detour: they are stored and change nothing",
		answers: "answers", answersMore: "%d uncertain (may have left, not repeated) · %d failed with a reason",
		lost: "lost", unanswered: "unanswered", reordered: "reordered", doubled: "doubled", dead: "dead",
		left: "people left", leftMore: "nobody will write to them: `psi-router left` lists them (late, uncertain, failed)",
		longest: "longest wait", longestMore: "for the answer (p99 %.1f s) · %.1f s for the decision",
		door: "door, longest", doorMore: "p50 %.0f ms · p99 %.0f ms",
		kept:   "Not one message was lost, reordered or doubled, with %d faults in %s.",
		broken: "Something is not as it should be. With --seed %d the same things go wrong.",
		outage: "outages", outageMore: "without Redis, PostgreSQL or WhatsApp, as the back-offs lived them (%.0f times faster)",
		fault: "fault", what: "what happens",
		phases: map[string]string{
			drill.PhaseStart:  "everything comes up",
			drill.PhaseLoad:   "people write",
			drill.PhaseSettle: "waiting for what is not done",
			drill.PhaseCheck:  "asking for every message",
		},
		faults: map[string]string{
			"kill_worker":            "kill -9 of a worker",
			"kill_webhook":           "kill -9 of a webhook",
			"kill_router":            "kill -9 of the router",
			"freeze_worker":          "a worker freezes for some seconds",
			"freeze_webhook":         "a webhook freezes for some seconds",
			"freeze_router":          "the router freezes for some seconds",
			"stall_worker":           "a worker freezes for longer than its lease",
			"restart_all":            "all processes restart, one after the other",
			"kill_redis":             "kill -9 of Redis, which comes back with its AOF",
			"stop_postgres":          "PostgreSQL is stopped for a while",
			"kill_postgres":          "PostgreSQL crashes",
			"whatsapp_throttles":     "WhatsApp slows us down (130429)",
			"whatsapp_refuses_token": "WhatsApp refuses the token (401, 190)",
			"whatsapp_hangs":         "WhatsApp does not answer",
			"whatsapp_cuts":          "WhatsApp accepts and hangs up",
			"whatsapp_fails":         "WhatsApp fails (500, 131000)",
			"whatsapp_gateway":       "WhatsApp answers with an error page (500)",
			"whatsapp_unreachable":   "WhatsApp is away",
		},
	}
}
