package main

import (
	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadtest"
)

// loadWords is what a load test says, in one language.
type loadWords struct {
	title, servers, embedded, closed, rate, graph, fallback string
	posted, waited, taken, router, silent, curve            string
	redisDown, redisUp, interrupted, files, html            string
	remote, yes, confirm, refused                           string
	requests, requestsMore, messages, messagesMore          string
	stored, storedMore, answers, answersMore, blind         string
	lost, doubled, reordered, unanswered                    string
	webhook, reply, most, honest, missed, refusal           string
	stolen, calm, calmReply                                 string
	kept, keptShort, broken                                 string
	crm, events, eventsMore, eventsLost, eventsReordered    string
	cut, memory, memoryMore                                 string
	phases, ways                                            map[string]string
}

func loadWordsIn(lang string) loadWords {
	if lang == "en" {
		return loadEnglish()
	}
	return loadSpanish()
}

func loadSpanish() loadWords {
	return loadWords{
		title:    "Prueba de carga · semilla %d · %s\n%s, de %d personas.",
		servers:  "un router aparte, con Redis y PostgreSQL propios; procesos: %d de webhook, %d de worker; el tuyo no se toca",
		embedded: "un router aparte, de un proceso sobre SQLite; el tuyo no se toca",
		closed:   "Cada pedido sale cuando se contestó el anterior", rate: "%.0f pedidos por segundo",
		graph:    "\nLas respuestas se esperan en %s: el graph_url de ese router tiene que ser ese.",
		fallback: "Faltan servidores, así que se prueba un solo proceso sobre SQLite.",

		posted: "pedidos %s, %.0f/s · mensajes %s · estados %s",
		waited: "webhook: p50 %s · p99 %s (último segundo) · máximo %s",
		taken:  "respuestas %s, %.0f/s · espera p50 %s · p99 %s",
		router: "en colas %s · por responder %s · muertos %d", silent: "el router no dice cómo está",
		curve:     "p99 del webhook",
		redisDown: "kill -9 a Redis", redisUp: "Redis volvió",
		interrupted: "la prueba se cortó antes de empezar; no quedó nada corriendo ni nada para borrar",
		files:       "Los archivos y los registros quedaron en", html: "El informe con gráficos está en",

		remote:  "%s no está en esta máquina: la carga le llegaría de verdad. Si es lo que querés, agregá --remote",
		yes:     "falta confirmar, y acá nadie puede escribir: agregá --yes",
		confirm: "La carga le va a llegar de verdad a %s.\nPara seguir, escribí %s: ",
		refused: "no se mandó nada",

		requests: "pedidos", requestsMore: "%.1f/s durante %.1f s · %d repetidos a propósito · %d vueltos a mandar tras un fallo",
		messages: "mensajes", messagesMore: "y %s estados · %d mensajes sin saber si llegaron · %d rechazados hasta el final",
		stored: "guardados", storedMore: "%d tarde, por un desvío: quedan y no cambian nada",
		answers: "respuestas", answersMore: "%d inciertas · %d fallidas con motivo",
		blind: "no llegaron acá: el graph_url de ese router apunta a otro lado",
		lost:  "perdidos", doubled: "duplicados", reordered: "desordenados", unanswered: "sin respuesta",
		webhook: "webhook", reply: "respuesta", most: "máximo",
		honest:  "contado desde que el pedido debía salir, no desde que alguien pudo mandarlo",
		missed:  "%s pedidos no llegaron a salir: nadie quedó libre a tiempo, y ninguna espera los cuenta. Probá con más --connections o menos --rate.",
		refusal: "%s pedidos fueron contestados con %s y se mandaron otra vez",
		stolen:  "Esta máquina comparte procesadores con otras: le faltó el %.1f %% de ellos",
		calm:    "; en los %d s en que casi no le faltó, webhook p99 %s", calmReply: ", respuesta p50 %s y p99 %s",
		kept: "Ni un mensaje perdido, duplicado ni desordenado.", keptShort: "Se cortó antes de tiempo; de lo que se mandó, nada se perdió, duplicó ni desordenó.",
		broken: "Algo no salió como debía.",
		crm:    "el CRM", events: "eventos", eventsMore: "%s esperaban cuando volvió el CRM, y los tuvo en %.1f s · %d repetidos con su mismo id · %d rechazados",
		eventsLost: "· perdidos", eventsReordered: "· desordenados",
		cut: "sin avisar", memory: "memoria", memoryMore: "como mucho, entre todos los procesos · Redis %.0f MB",
		ways: map[string]string{
			cluster.CRMWorks: "anda", cluster.CRMSlow: "contesta a los 5 s", cluster.CRMFails: "contesta 500", cluster.CRMHangs: "no contesta", cluster.CRMGone: "no está",
		},
		phases: map[string]string{
			loadtest.PhaseStart: "levantando todo", loadtest.PhaseLoad: "la gente escribe",
			loadtest.PhaseSettle: "esperando a que se termine lo pendiente", loadtest.PhaseCheck: "buscando cada mensaje",
		},
	}
}

func loadEnglish() loadWords {
	return loadWords{
		title:    "Load test · seed %d · %s\n%s, of %d people.",
		servers:  "a router of its own, with its Redis and PostgreSQL; processes: %d webhook, %d worker; yours is not touched",
		embedded: "a router of its own, one process on SQLite; yours is not touched",
		closed:   "Each request leaves when the one before it was answered", rate: "%.0f requests a second",
		graph:    "\nAnswers are awaited at %s: the graph_url of that router has to be this.",
		fallback: "Servers are missing, so this tests one process on SQLite.",

		posted: "requests %s, %.0f/s · messages %s · statuses %s",
		waited: "webhook: p50 %s · p99 %s (last second) · longest %s",
		taken:  "answers %s, %.0f/s · wait p50 %s · p99 %s",
		router: "in queues %s · to be answered %s · dead %d", silent: "the router does not say how it is",
		curve:     "p99 of the webhook",
		redisDown: "kill -9 of Redis", redisUp: "Redis is back",
		interrupted: "the test was interrupted before it began; nothing is left running, nor to be removed",
		files:       "Files and logs are in", html: "The report with charts is in",

		remote:  "%s is not on this machine: the load would be real there. If that is what you want, add --remote",
		yes:     "this has to be confirmed, and nobody can type here: add --yes",
		confirm: "The load will be real for %s.\nTo go on, type %s: ",
		refused: "nothing was sent",

		requests: "requests", requestsMore: "%.1f/s for %.1f s · %d repeated on purpose · %d sent again after a failure",
		messages: "messages", messagesMore: "and %s statuses · %d messages nobody knows whether they arrived · %d refused to the end",
		stored: "stored", storedMore: "%d late, by a detour: they stay and change nothing",
		answers: "answers", answersMore: "%d uncertain · %d failed with a reason",
		blind: "none came here: the graph_url of that router points elsewhere",
		lost:  "lost", doubled: "doubled", reordered: "reordered", unanswered: "unanswered",
		webhook: "webhook", reply: "reply", most: "longest",
		honest: "counted from when a request was due, not from when somebody was free to post it",
		missed: "%s requests never left: nobody was free in time, and no wait counts them. Try more --connections or less --rate.",
		stolen: "This machine shares processors with others: it was without %.1f %% of them",
		calm:   "; in the %d s when it was hardly without, webhook p99 %s", calmReply: ", reply p50 %s and p99 %s",
		refusal: "%s requests were answered %s and posted again",
		kept:    "Not one message was lost, doubled or reordered.", keptShort: "It ended early; of what was sent, nothing was lost, doubled or reordered.",
		broken: "Something is not as it should be.",
		crm:    "the CRM", events: "events", eventsMore: "%s waited when the CRM came back, which had them in %.1f s · %d repeated with their id · %d refused",
		eventsLost: "· lost", eventsReordered: "· reordered",
		cut: "not told", memory: "memory", memoryMore: "at most, of all processes · Redis %.0f MB",
		ways: map[string]string{
			cluster.CRMWorks: "works", cluster.CRMSlow: "answers after 5 s", cluster.CRMFails: "answers 500", cluster.CRMHangs: "does not answer", cluster.CRMGone: "is gone",
		},
		phases: map[string]string{
			loadtest.PhaseStart: "everything comes up", loadtest.PhaseLoad: "people write",
			loadtest.PhaseSettle: "waiting for what is not done", loadtest.PhaseCheck: "asking for every message",
		},
	}
}
