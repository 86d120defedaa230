package dashboard

// Words are the page's texts in one language.
type Words struct {
	Lang, Other, OtherName                                                                     string
	Title, Lines, Line, LastInbound, Never, Queues, Queue                                      string
	Waiting, Running, Oldest, Dead, State, Checks, Version, Up                                 string
	Works, Paused, Held, Fine, Broken, Stale, Sandbox, API, Metrics                            string
	Pending, Uncertain, Left, Unanswered, HandedOff, Alerts, NoLines, NoQueues, Providers, Sum string
	Ago, In, Seconds, Minutes, Hours, Days                                                     string // formats

	AllWell, AllWellMore                      string
	CheckFails, CheckFix                      string
	LineFails, LineFix                        string
	HeldSend, HeldOther, HeldFix              string
	PausedQueue, PausedFix                    string
	DeadOne, DeadMany, DeadFix                string
	Waited, WaitedFix                         string
	Behind, BehindFix                         string
	UncertainOne, UncertainMany, UncertainFix string

	CheckNames, CheckFixes, QueueNames map[string]string
}

func spanish() Words {
	return Words{
		Lang: "es", Other: "en", OtherName: "English",
		Title: "Estado del router", Lines: "Líneas", Line: "Línea", LastInbound: "último mensaje", Never: "todavía nada",
		Queues: "Colas", Queue: "Cola", Waiting: "esperan", Running: "en curso", Oldest: "el más viejo", Dead: "apartados",
		State: "estado", Checks: "Chequeos", Version: "versión", Up: "en marcha desde hace",
		Works: "anda", Paused: "en pausa", Held: "frenada hasta las", Fine: "bien", Broken: "no anda",
		Stale: "Sin respuesta del router: lo que ves puede ser viejo.", Sandbox: "Probar en el teléfono", API: "API", Metrics: "Métricas",
		Pending: "respuestas por salir", Uncertain: "envíos dudosos", Left: "quedaron sin respuesta", Unanswered: "espera más larga", HandedOff: "espera más larga de un equipo", Alerts: "Alertas abiertas",
		NoLines: "No hay líneas configuradas.", NoQueues: "Todavía no pasó nada por las colas.",
		Ago: "hace %s", Seconds: "%d s", Minutes: "%d min", Hours: "%d h", Days: "%d d",

		AllWell: "Todo bien", AllWellMore: "Lo que llega se guarda y se responde.",
		CheckFails: "No anda: %s.", CheckFix: "Mirá el registro del servicio; cuando vuelva, sigue solo y no se pierde nada.",
		LineFails: "La línea %s no anda: %s.", LineFix: "Arreglalo como dice. Las otras líneas siguen igual, y lo que llega no se pierde.",
		HeldSend: "La línea %s no puede enviar: %s.", HeldOther: "La cola %s está frenada: %s.",
		HeldFix:     "Las respuestas esperan y no se pierden; se prueba sola. Si habla del token o de permisos, cargá un token nuevo.",
		PausedQueue: "La cola %s está en pausa.", PausedFix: "Lo que llega espera. Para seguir: psi-router queue resume %s",
		DeadOne: "Hay 1 trabajo apartado en la cola %s.", DeadMany: "Hay %d trabajos apartados en la cola %s.",
		DeadFix: "Mirá por qué con psi-router dead list; para reintentar: psi-router dead redrive",
		Waited:  "Hay gente que espera respuesta desde hace %s.", WaitedFix: "Mirá abajo qué cola está atrasada o frenada; psi-router why TELÉFONO dice por qué.",
		Behind: "La cola %s viene atrasada: lo más viejo espera desde hace %s.", BehindFix: "Si no baja sola en unos minutos, sumá capacidad (worker.concurrency) o mirá la base de datos.",
		UncertainOne:  "Hay 1 envío dudoso: puede haber salido o no, y no se repite.",
		UncertainMany: "Hay %d envíos dudosos: pueden haber salido o no, y no se repiten.",
		UncertainFix:  "Si WhatsApp informa su estado se aclaran solos; si no, mirá la conversación y escribí de nuevo si hace falta.",

		CheckNames: map[string]string{"store": "la base de datos", "queue": "la cola", "door": "la entrada", "sends": "los envíos", "disk": "el disco", "redis": "Redis", "database": "la base de datos", "media": "la carpeta de archivos", "clock": "el reloj"},
		CheckFixes: map[string]string{
			"store":    "Revisá que la base de datos esté en pie y que haya espacio. WhatsApp vuelve a mandar lo que no se pudo guardar.",
			"database": "Revisá que la base de datos esté en pie y que haya espacio. WhatsApp vuelve a mandar lo que no se pudo guardar.",
			"queue":    "Revisá que la cola esté en pie y que haya espacio. WhatsApp vuelve a mandar lo que no se pudo guardar.",
			"door":     "Revisá que Redis esté en pie y que haya espacio en el disco de data_dir. WhatsApp vuelve a mandar lo que no se pudo guardar.",
			"redis":    "Revisá que Redis esté en pie. WhatsApp vuelve a mandar lo que no se pudo guardar.",
			"disk":     "Liberá espacio en el disco de data_dir: sin lugar no se puede guardar lo que llega.",
			"clock":    "Poné en hora esta máquina, por ejemplo con timedatectl set-ntp true.",
		},
		QueueNames: map[string]string{"inbound": "lo que llega", "status": "estados de envío", "media": "archivos", "send": "envíos de %s", "events": "avisos a %s"},
	}
}

func english() Words {
	return Words{
		Lang: "en", Other: "es", OtherName: "Español",
		Title: "Router status", Lines: "Lines", Line: "Line", LastInbound: "last message", Never: "nothing yet",
		Queues: "Queues", Queue: "Queue", Waiting: "waiting", Running: "running", Oldest: "oldest", Dead: "set aside",
		State: "state", Checks: "Checks", Version: "version", Up: "up for",
		Works: "works", Paused: "paused", Held: "held until", Fine: "fine", Broken: "broken",
		Stale: "The router does not answer: what you see may be old.", Sandbox: "Try it on the phone", API: "API", Metrics: "Metrics",
		Pending: "replies to leave", Uncertain: "uncertain sends", Left: "left without an answer", Unanswered: "longest wait", HandedOff: "longest wait for a team", Alerts: "Open alerts",
		NoLines: "No lines are configured.", NoQueues: "Nothing went through the queues yet.",
		Ago: "%s ago", Seconds: "%d s", Minutes: "%d min", Hours: "%d h", Days: "%d d",

		AllWell: "All well", AllWellMore: "What arrives is stored and answered.",
		CheckFails: "Broken: %s.", CheckFix: "Look at the service's log; when it is back, work goes on by itself and nothing is lost.",
		LineFails: "Line %s does not work: %s.", LineFix: "Mend it as it says. The other lines go on, and what arrives is not lost.",
		HeldSend: "Line %s cannot send: %s.", HeldOther: "Queue %s is held: %s.",
		HeldFix:     "Replies wait and are not lost; it tries by itself. If it speaks of the token or of permissions, set a new token.",
		PausedQueue: "Queue %s is paused.", PausedFix: "What arrives waits. To go on: psi-router queue resume %s",
		DeadOne: "1 job is set aside in queue %s.", DeadMany: "%d jobs are set aside in queue %s.",
		DeadFix: "See why with psi-router dead list; to try again: psi-router dead redrive",
		Waited:  "People have been waiting for an answer for %s.", WaitedFix: "See below which queue is late or held; psi-router why PHONE tells the reason.",
		Behind: "Queue %s is late: the oldest has waited for %s.", BehindFix: "If it does not shrink within minutes, add capacity (worker.concurrency) or look at the database.",
		UncertainOne:  "1 send is uncertain: it may have left or not, and is not repeated.",
		UncertainMany: "%d sends are uncertain: they may have left or not, and are not repeated.",
		UncertainFix:  "They clear up when WhatsApp reports on them; if not, look at the conversation and write again if needed.",

		CheckNames: map[string]string{"store": "the database", "queue": "the queue", "door": "the door", "sends": "sending", "disk": "the disk", "redis": "Redis", "database": "the database", "media": "the media folder", "clock": "the clock"},
		CheckFixes: map[string]string{
			"store":    "See that the database is up and has space. WhatsApp sends again what could not be stored.",
			"database": "See that the database is up and has space. WhatsApp sends again what could not be stored.",
			"queue":    "See that the queue is up and has space. WhatsApp sends again what could not be stored.",
			"door":     "See that Redis is up, and that the disk of data_dir has space. WhatsApp sends again what could not be stored.",
			"redis":    "See that Redis is up. WhatsApp sends again what could not be stored.",
			"disk":     "Free space on the disk of data_dir: without it nothing that arrives can be stored.",
			"clock":    "Set the clock of this machine, for example by timedatectl set-ntp true.",
		},
		QueueNames: map[string]string{"inbound": "what arrives", "status": "delivery reports", "media": "files", "send": "sends of %s", "events": "notices to %s"},
	}
}

func wordsIn(lang string) Words {
	if lang == "en" {
		return english()
	}
	return spanish()
}
