package main

import "github.com/psivisionhub/psi-router/internal/lang"

// Texts of drill and loadtest.
var (
	rehearsalSilent     = lang.Text{ES: "el router no dice cómo está", EN: "the router does not report its state"}
	rehearsalFiles      = lang.Text{ES: "Los archivos y los registros quedaron en", EN: "Files and logs are in"}
	rehearsalAnswers    = lang.Text{ES: "respuestas", EN: "answers"}
	rehearsalLost       = lang.Text{ES: "perdidos", EN: "lost"}
	rehearsalUnanswered = lang.Text{ES: "sin respuesta", EN: "unanswered"}
	rehearsalReordered  = lang.Text{ES: "desordenados", EN: "reordered"}
	rehearsalDoubled    = lang.Text{ES: "duplicados", EN: "doubled"}
)

// phaseTexts are the phases of a rehearsal.
var phaseTexts = map[string]lang.Text{
	"start":  {ES: "levantando todo", EN: "everything comes up"},
	"load":   {ES: "la gente escribe", EN: "people write"},
	"settle": {ES: "esperando a que se termine lo pendiente", EN: "waiting for unfinished work"},
	"check":  {ES: "buscando cada mensaje", EN: "asking for every message"},
}

// Texts of drill.
var (
	drillTitle        = lang.Text{ES: "Simulacro · semilla %d · %s\n%d mensajes de %d personas, %d fallas. Es una instalación aparte: la tuya no se toca.", EN: "Drill · seed %d · %s\n%d messages of %d people, %d faults. It is an installation of its own: yours is not touched."}
	drillServers      = lang.Text{ES: "Redis y PostgreSQL propios; procesos: %d de webhook, %d de worker", EN: "its own Redis and PostgreSQL; processes: %d webhook, %d worker"}
	drillEmbedded     = lang.Text{ES: "un proceso sobre SQLite", EN: "one process on SQLite"}
	drillFallback     = lang.Text{ES: "Faltan servidores, así que se ensaya con un solo proceso sobre SQLite.", EN: "Servers are missing, so this drills one process on SQLite."}
	drillProgress     = lang.Text{ES: "aceptados %d de %d, %.0f/s", EN: "accepted %d of %d, %.0f/s"}
	drillRouter       = lang.Text{ES: "decididos %d, en colas %d, por responder %d, muertos %d", EN: "decided %d, in queues %d, to be answered %d, dead %d"}
	drillSent         = lang.Text{ES: "respuestas en WhatsApp %d", EN: "answers at WhatsApp %d"}
	drillDone         = lang.Text{ES: "fallas %d de %d", EN: "faults %d of %d"}
	drillOver         = lang.Text{ES: "ya pasó: %s", EN: "over: %s"}
	drillInterrupted  = lang.Text{ES: "el simulacro se cortó a mitad de camino; no quedó nada corriendo ni nada para borrar", EN: "the drill was interrupted; nothing is left running, nor to be removed"}
	drillAccepted     = lang.Text{ES: "aceptados", EN: "accepted"}
	drillAcceptedMore = lang.Text{ES: "%d sin saber si llegaron · %d repetidos a propósito · %d vueltos a mandar tras un fallo", EN: "%d whose arrival is unknown · %d repeated on purpose · %d sent again after a failure"}
	drillHandled      = lang.Text{ES: "decididos", EN: "decided"}
	drillLate         = lang.Text{ES: "tarde", EN: "late"}
	drillLateMore     = lang.Text{ES: "llegaron por un desvío: quedan guardados y no cambian nada", EN: "came by a detour: they are stored and change nothing"}
	drillAnswersMore  = lang.Text{ES: "%d inciertas (pueden haber salido, no se repiten) · %d fallidas con motivo", EN: "%d uncertain (may have left, not repeated) · %d failed with a reason"}
	drillDead         = lang.Text{ES: "muertos", EN: "dead"}
	drillLeft         = lang.Text{ES: "sin contestar", EN: "people left"}
	drillLeftMore     = lang.Text{ES: "y nadie les va a escribir: `psi-router left` las lista (tarde, inciertas, fallidas)", EN: "nobody will write to them: `psi-router left` lists them (late, uncertain, failed)"}
	drillLongest      = lang.Text{ES: "espera más larga", EN: "longest wait"}
	drillLongestMore  = lang.Text{ES: "hasta la respuesta (p99 %.1f s) · %.1f s hasta la decisión", EN: "for the answer (p99 %.1f s) · %.1f s for the decision"}
	drillDoor         = lang.Text{ES: "puerta, máximo", EN: "door, longest"}
	drillDoorMore     = lang.Text{ES: "p50 %.0f ms · p99 %.0f ms", EN: "p50 %.0f ms · p99 %.0f ms"}
	drillKept         = lang.Text{ES: "Ni un mensaje perdido, desordenado ni duplicado, con %d fallas en %s.", EN: "Not one message was lost, reordered or doubled, with %d faults in %s."}
	drillBroken       = lang.Text{ES: "Algo no salió como debía. Con --seed %d pasan las mismas cosas.", EN: "Something is not as it should be. With --seed %d the same things go wrong."}
	drillFault        = lang.Text{ES: "falla", EN: "fault"}
	drillWhat         = lang.Text{ES: "qué pasa", EN: "what happens"}
	drillOutage       = lang.Text{ES: "cortes", EN: "outages"}
	drillOutageMore   = lang.Text{ES: "sin Redis, PostgreSQL o WhatsApp, como lo vivieron los reintentos (%.0f veces más rápido)", EN: "without Redis, PostgreSQL or WhatsApp, as the back-offs lived them (%.0f times faster)"}
)

// faultTexts are the faults of a drill.
var faultTexts = map[string]lang.Text{
	"kill_worker":            {ES: "kill -9 a un worker", EN: "kill -9 of a worker"},
	"kill_webhook":           {ES: "kill -9 a un webhook", EN: "kill -9 of a webhook"},
	"kill_router":            {ES: "kill -9 al router", EN: "kill -9 of the router"},
	"freeze_worker":          {ES: "un worker se congela unos segundos", EN: "a worker freezes for some seconds"},
	"freeze_webhook":         {ES: "un webhook se congela unos segundos", EN: "a webhook freezes for some seconds"},
	"freeze_router":          {ES: "el router se congela unos segundos", EN: "the router freezes for some seconds"},
	"stall_worker":           {ES: "un worker se congela más de lo que dura su turno", EN: "a worker freezes for longer than its lease"},
	"restart_all":            {ES: "reinicio de todos los procesos, uno por uno", EN: "all processes restart, one after the other"},
	"kill_redis":             {ES: "kill -9 a Redis, y vuelve con su AOF", EN: "kill -9 of Redis, which comes back with its AOF"},
	"stop_postgres":          {ES: "PostgreSQL se apaga un rato", EN: "PostgreSQL is stopped for a while"},
	"kill_postgres":          {ES: "PostgreSQL se cae de golpe", EN: "PostgreSQL crashes"},
	"whatsapp_throttles":     {ES: "WhatsApp frena los envíos (130429)", EN: "WhatsApp slows us down (130429)"},
	"whatsapp_refuses_token": {ES: "WhatsApp rechaza el token (401, 190)", EN: "WhatsApp refuses the token (401, 190)"},
	"whatsapp_hangs":         {ES: "WhatsApp no contesta", EN: "WhatsApp does not answer"},
	"whatsapp_cuts":          {ES: "WhatsApp acepta y corta sin contestar", EN: "WhatsApp accepts and hangs up"},
	"whatsapp_fails":         {ES: "WhatsApp falla (500, 131000)", EN: "WhatsApp fails (500, 131000)"},
	"whatsapp_gateway":       {ES: "WhatsApp contesta una página de error (500)", EN: "WhatsApp answers with an error page (500)"},
	"whatsapp_unreachable":   {ES: "WhatsApp no está", EN: "WhatsApp is away"},
}

// Texts of loadtest.
var (
	loadTitle           = lang.Text{ES: "Prueba de carga · semilla %d · %s\n%s, de %d personas.", EN: "Load test · seed %d · %s\n%s, of %d people."}
	loadServers         = lang.Text{ES: "un router aparte, con Redis y PostgreSQL propios; procesos: %d de webhook, %d de worker; el tuyo no se toca", EN: "a router of its own, with its Redis and PostgreSQL; processes: %d webhook, %d worker; yours is not touched"}
	loadEmbedded        = lang.Text{ES: "un router aparte, de un proceso sobre SQLite; el tuyo no se toca", EN: "a router of its own, one process on SQLite; yours is not touched"}
	loadClosed          = lang.Text{ES: "Cada pedido sale cuando se contestó el anterior", EN: "Each request leaves when the one before it was answered"}
	loadRate            = lang.Text{ES: "%.0f pedidos por segundo", EN: "%.0f requests a second"}
	loadGraph           = lang.Text{ES: "\nLas respuestas se esperan en %s: el graph_url de ese router tiene que ser ese.", EN: "\nAnswers are awaited at %s: the graph_url of that router has to be this."}
	loadFallback        = lang.Text{ES: "Faltan servidores, así que se prueba un solo proceso sobre SQLite.", EN: "Servers are missing, so this tests one process on SQLite."}
	loadPosted          = lang.Text{ES: "pedidos %s, %.0f/s · mensajes %s · estados %s", EN: "requests %s, %.0f/s · messages %s · statuses %s"}
	loadWaited          = lang.Text{ES: "webhook: p50 %s · p99 %s (último segundo) · máximo %s", EN: "webhook: p50 %s · p99 %s (last second) · longest %s"}
	loadTaken           = lang.Text{ES: "respuestas %s, %.0f/s · espera p50 %s · p99 %s", EN: "answers %s, %.0f/s · wait p50 %s · p99 %s"}
	loadRouter          = lang.Text{ES: "en colas %s · por responder %s · muertos %d", EN: "in queues %s · to be answered %s · dead %d"}
	loadCurve           = lang.Text{ES: "p99 del webhook", EN: "p99 of the webhook"}
	loadInterrupted     = lang.Text{ES: "la prueba se cortó antes de empezar; no quedó nada corriendo ni nada para borrar", EN: "the test was interrupted before it began; nothing is left running, nor to be removed"}
	loadHtml            = lang.Text{ES: "El informe con gráficos está en", EN: "The report with charts is in"}
	loadRemote          = lang.Text{ES: "%s no está en esta máquina: la carga le llegaría de verdad. Si es lo que querés, agregá --remote", EN: "%s is not on this machine: the load would be real there. If that is what you want, add --remote"}
	loadYes             = lang.Text{ES: "falta confirmar, y acá nadie puede escribir: agregá --yes", EN: "this has to be confirmed, and nobody can type here: add --yes"}
	loadConfirm         = lang.Text{ES: "La carga le va a llegar de verdad a %s.\nPara seguir, escribí %s: ", EN: "The load will be real for %s.\nTo go on, type %s: "}
	loadRefused         = lang.Text{ES: "no se mandó nada", EN: "nothing was sent"}
	loadRequests        = lang.Text{ES: "pedidos", EN: "requests"}
	loadRequestsMore    = lang.Text{ES: "%.1f/s durante %.1f s · %d repetidos a propósito · %d vueltos a mandar tras un fallo", EN: "%.1f/s for %.1f s · %d repeated on purpose · %d sent again after a failure"}
	loadMessages        = lang.Text{ES: "mensajes", EN: "messages"}
	loadMessagesMore    = lang.Text{ES: "y %s estados · %d mensajes sin saber si llegaron · %d rechazados hasta el final", EN: "and %s statuses · %d messages whose arrival is unknown · %d refused to the end"}
	loadStored          = lang.Text{ES: "guardados", EN: "stored"}
	loadStoredMore      = lang.Text{ES: "%d tarde, por un desvío: quedan y no cambian nada", EN: "%d late, by a detour: they stay and change nothing"}
	loadAnswersMore     = lang.Text{ES: "%d inciertas · %d fallidas con motivo", EN: "%d uncertain · %d failed with a reason"}
	loadBlind           = lang.Text{ES: "no llegaron acá: el graph_url de ese router apunta a otro lado", EN: "none came here: the graph_url of that router points elsewhere"}
	loadWebhook         = lang.Text{ES: "webhook", EN: "webhook"}
	loadReply           = lang.Text{ES: "respuesta", EN: "reply"}
	loadMost            = lang.Text{ES: "máximo", EN: "longest"}
	loadHonest          = lang.Text{ES: "contado desde que el pedido debía salir, no desde que alguien pudo mandarlo", EN: "counted from when a request was due, not from when somebody was free to post it"}
	loadMissed          = lang.Text{ES: "%s pedidos no llegaron a salir: nadie quedó libre a tiempo, y ninguna espera los cuenta. Probá con más --connections o menos --rate.", EN: "%s requests never left: nobody was free in time, and no wait counts them. Try more --connections or less --rate."}
	loadRefusal         = lang.Text{ES: "%s pedidos fueron contestados con %s y se mandaron otra vez", EN: "%s requests were answered %s and posted again"}
	loadStolen          = lang.Text{ES: "Esta máquina comparte procesadores con otras: le faltó el %.1f %% de ellos", EN: "This machine shares processors with others: it was without %.1f %% of them"}
	loadCalm            = lang.Text{ES: "; en los %d s en que casi no le faltó, webhook p99 %s", EN: "; in the %d s when it was hardly without, webhook p99 %s"}
	loadCalmReply       = lang.Text{ES: ", respuesta p50 %s y p99 %s", EN: ", reply p50 %s and p99 %s"}
	loadKept            = lang.Text{ES: "Ni un mensaje perdido, duplicado ni desordenado.", EN: "Not one message was lost, doubled or reordered."}
	loadKeptShort       = lang.Text{ES: "Se cortó antes de tiempo; de lo que se mandó, nada se perdió, duplicó ni desordenó.", EN: "It ended early; of what was sent, nothing was lost, doubled or reordered."}
	loadBroken          = lang.Text{ES: "Algo no salió como debía.", EN: "Something is not as it should be."}
	loadCrm             = lang.Text{ES: "el CRM", EN: "the CRM"}
	loadEvents          = lang.Text{ES: "eventos", EN: "events"}
	loadEventsMore      = lang.Text{ES: "%s esperaban cuando volvió el CRM, y los tuvo en %.1f s · %d repetidos con su mismo id · %d rechazados", EN: "%s waited when the CRM came back, which had them in %.1f s · %d repeated with their id · %d refused"}
	loadEventsLost      = lang.Text{ES: "· perdidos", EN: "· lost"}
	loadEventsReordered = lang.Text{ES: "· desordenados", EN: "· reordered"}
	loadCut             = lang.Text{ES: "sin avisar", EN: "not told"}
	loadMemory          = lang.Text{ES: "memoria", EN: "memory"}
	loadMemoryMore      = lang.Text{ES: "como mucho, entre todos los procesos · Redis %.0f MB", EN: "at most, of all processes · Redis %.0f MB"}
	loadRedisDown       = lang.Text{ES: "kill -9 a Redis", EN: "kill -9 of Redis"}
	loadRedisUp         = lang.Text{ES: "Redis volvió", EN: "Redis is back"}
)

// crmTexts are the fault modes of the CRM.
var crmTexts = map[string]lang.Text{
	"works": {ES: "anda", EN: "works"},
	"slow":  {ES: "contesta a los 5 s", EN: "answers after 5 s"},
	"fails": {ES: "contesta 500", EN: "answers 500"},
	"hangs": {ES: "no contesta", EN: "does not answer"},
	"gone":  {ES: "no está", EN: "is gone"},
}
