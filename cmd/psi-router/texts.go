package main

import (
	"github.com/psivisionhub/psi-router/internal/doctor"
	"github.com/psivisionhub/psi-router/internal/lang"
	"github.com/psivisionhub/psi-router/internal/router"
)

// say returns a text in the language of the command.
func (e *env) say(text lang.Text, args ...any) string { return text.In(e.Lang, args...) }

// Texts of init.
var (
	initExists     = lang.Text{ES: "ya existe %s: elegí otra carpeta con --dir, o pisalo con --force", EN: "%s exists: choose another directory with --dir, or overwrite it with --force"}
	askListen      = lang.Text{ES: "¿En qué dirección escucha?", EN: "Which address does it listen on?"}
	askDataDir     = lang.Text{ES: "¿Dónde guarda sus datos?", EN: "Where does it keep its data?"}
	askPublic      = lang.Text{ES: "¿Con qué dirección llega Meta? (https://…, vacío si todavía no hay)", EN: "At which address does Meta reach it? (https://…, empty if there is none yet)"}
	askDatabase    = lang.Text{ES: "PostgreSQL (vacío: todo en la carpeta de datos)", EN: "PostgreSQL (empty: everything in the data directory)"}
	askDirect      = lang.Text{ES: "PostgreSQL sin pooler (vacío: el mismo)", EN: "PostgreSQL past the pooler (empty: the same)"}
	askRedis       = lang.Text{ES: "Redis (vacío: un solo proceso)", EN: "Redis (empty: one process only)"}
	askLine        = lang.Text{ES: "¿Cómo se llama la línea?", EN: "What is the line called?"}
	askPhone       = lang.Text{ES: "Identificador del número en Meta (phone_number_id)", EN: "The number's id at Meta (phone_number_id)"}
	askAppSecret   = lang.Text{ES: "Clave secreta de la app (app secret)", EN: "App secret"}
	askToken       = lang.Text{ES: "Token de acceso", EN: "Access token"}
	redisNeeds     = lang.Text{ES: "--redis-url necesita --database-url", EN: "--redis-url needs --database-url"}
	isNeeded       = lang.Text{ES: "hace falta", EN: "it is needed"}
	noMoreAnswers  = lang.Text{ES: "no hay más respuestas: no se escribió nada", EN: "there are no more answers: nothing was written"}
	envUseless     = lang.Text{ES: "no dice nada que se pueda usar", EN: "no variable in it can be used"}
	envNotNeeded   = lang.Text{ES: "%s no hace falta: %s", EN: "%s is not needed: %s"}
	envNotUsed     = lang.Text{ES: "no se usan: %s", EN: "not used: %s"}
	nothingWritten = lang.Text{ES: "no se escribió nada", EN: "nothing was written"}

	initWritten = lang.Text{ES: "Escrito:", EN: "Written:"}
	pasteAtMeta = lang.Text{ES: "En Meta (App › WhatsApp › Configuración › Webhook) pegá:", EN: "At Meta (App › WhatsApp › Configuration › Webhook) paste:"}
	callbackURL = lang.Text{ES: "URL de devolución de llamada", EN: "Callback URL"}
	verifyToken = lang.Text{ES: "Token de verificación       ", EN: "Verify token"}
	subscribe   = lang.Text{ES: "y suscribite a los campos messages y user_preferences. El router tiene que estar corriendo cuando lo guardes.", EN: "and subscribe to the fields messages and user_preferences. The router has to be running when you save it."}
	keyOfAPI    = lang.Text{ES: "Clave de la API para %s (no se vuelve a mostrar):", EN: "API key for %s (it is not shown again):"}
	toStart     = lang.Text{ES: "Para arrancar:", EN: "To start:"}

	writeHostPort   = lang.Text{ES: "escribí host:puerto, como 127.0.0.1:3002", EN: "write host:port, such as 127.0.0.1:3002"}
	cannotBeUsed    = lang.Text{ES: "no se puede usar", EN: "it cannot be used"}
	isFree          = lang.Text{ES: "%s está libre", EN: "%s is free"}
	postgresAnswers = lang.Text{ES: "PostgreSQL %d contesta", EN: "PostgreSQL %d answers"}
	redisAnswers    = lang.Text{ES: "Redis %s contesta", EN: "Redis %s answers"}
	lineLetters     = lang.Text{ES: "usá minúsculas, números, _ y -, hasta 32", EN: "use lower-case letters, digits, _ and -, at most 32"}
	onlyDigits      = lang.Text{ES: "son solo dígitos; no es el número de teléfono", EN: "it has only digits; it is not the phone number"}
	tooShort        = lang.Text{ES: "es muy corta: copiala entera", EN: "it is too short: copy the whole of it"}
	otherAppSecret  = lang.Text{ES: "el app secret no es el de esta app", EN: "the app secret is not this app's"}
	notAnswering    = lang.Text{ES: "%s no contesta: el token no se comprobó", EN: "%s does not answer: the token was not checked"}
	tokenRefused    = lang.Text{ES: "WhatsApp rechaza este token para este número", EN: "WhatsApp refuses this token for this number"}
)

// Texts of doctor.
var (
	doctorOK       = lang.Text{ES: "todo está bien", EN: "all is well"}
	doctorWarning  = lang.Text{ES: "funciona, con 1 cosa para mirar", EN: "it works, with 1 thing to look at"}
	doctorWarnings = lang.Text{ES: "funciona, con %d cosas para mirar", EN: "it works, with %d things to look at"}
	doctorBroken   = lang.Text{ES: "1 cosa por arreglar", EN: "1 thing to fix"}
	doctorBrokens  = lang.Text{ES: "%d cosas por arreglar", EN: "%d things to fix"}

	doctorAreas = map[string]lang.Text{
		doctor.Configuration: {ES: "configuración", EN: "configuration"},
		doctor.Flow:          {ES: "flujo", EN: "flow"},
		doctor.Secrets:       {ES: "secretos", EN: "secrets"}, //nolint:misspell // Spanish
		doctor.Redis:         {ES: "Redis", EN: "redis"},
		doctor.PostgreSQL:    {ES: "PostgreSQL", EN: "postgresql"},
		doctor.Store:         {ES: "datos", EN: "store"},
		doctor.Disk:          {ES: "disco", EN: "disk"},
		doctor.Clock:         {ES: "reloj", EN: "clock"},
		doctor.Port:          {ES: "puerto", EN: "port"},
		doctor.Router:        {ES: "router", EN: "router"},
		doctor.Lines:         {ES: "líneas", EN: "lines"},
		doctor.Endpoints:     {ES: "destinos", EN: "endpoints"},
	}
)

// Texts of left, dead and phone.
var (
	nobodyLeft  = lang.Text{ES: "No quedó nadie sin respuesta.", EN: "Nobody is left without an answer."}
	sinceColumn = lang.Text{ES: "desde", EN: "since"}
	lineColumn  = lang.Text{ES: "línea", EN: "line"}
	whoColumn   = lang.Text{ES: "quién", EN: "who"}
	whyColumn   = lang.Text{ES: "por qué", EN: "why"}
	moreLeft    = lang.Text{ES: "Hay más: --limit 0 los muestra a todos.", EN: "There are more: --limit 0 shows all."}
	leftTodo    = lang.Text{ES: "Escribiles, o derivalas con `psi-router conv handoff ID --area EQUIPO`. A quien no haga falta: `psi-router left dismiss ID`.", EN: "Write to them, or hand them over with `psi-router conv handoff ID --area TEAM`. Whoever needs nothing: `psi-router left dismiss ID`."}
	leftSince   = lang.Text{ES: "QUEDÓ SIN RESPUESTA hace %s, y nadie le va a escribir: %s", EN: "LEFT WITHOUT AN ANSWER %s ago, and nobody will write: %s"}
	redriveLeft = lang.Text{ES: "Quedan sin respuesta, porque lo que vuelve se guarda y no se contesta (%d): %s. Miralos con `psi-router left`.", EN: "Left without an answer, because redriven messages are stored and not answered (%d): %s. See `psi-router left`."}
	isCanonical = lang.Text{ES: "Ya estaba en su forma canónica.", EN: "It was already in its canonical form."}
)

// Texts of why.
var (
	searchedAsIs = lang.Text{ES: "lo busqué tal cual", EN: "I looked for it as it is"}
	searchedAs   = lang.Text{ES: "lo busqué como %s", EN: "I looked for it as %s"}
	nothingFound = lang.Text{ES: "no hay nada de %s (%s). No llegó ningún mensaje suyo: fijate que el número esté bien, que su línea esté en `psi-router queue stats` sin pausa, y que Meta tenga bien la URL del webhook (mirá /status)", EN: "nothing is known of %s (%s). No message of theirs arrived: check the number, that no queue is paused in `psi-router queue stats`, and that Meta has the right webhook URL (see /status)"}

	teamSince    = lang.Text{ES: " desde hace %s", EN: " for %s"}
	stateTeam    = lang.Text{ES: "La tiene el equipo %s%s%s: el bot se calla hasta que la cierren.", EN: "The team %s has it%s%s: the bot is silent until they close it."}
	stateClosed  = lang.Text{ES: "Está cerrada: cuando vuelva a escribir recibe el menú.", EN: "It is closed: when they write again they get the menu."}
	stateSilent  = lang.Text{ES: "Está desconectada: el bot no contesta hasta que la reconecten.", EN: "It is disconnected: the bot does not answer until it is reconnected."}
	stateNoMenu  = lang.Text{ES: "La atiende el bot; todavía no vio ningún menú.", EN: "The bot has it; no menu has been shown yet."}
	stateMenu    = lang.Text{ES: "La atiende el bot, en el menú «%s».", EN: "The bot has it, in the menu “%s”."}
	noWindow     = lang.Text{ES: "No hay ventana que mirar: la línea no la tiene, o la persona nunca escribió.", EN: "No window applies: the line has none, or the person never wrote."}
	windowOpen   = lang.Text{ES: "La ventana de WhatsApp está abierta hasta el %s (queda %s).", EN: "WhatsApp's window is open until %s (%s left)."}
	windowClosed = lang.Text{ES: "La ventana de WhatsApp se cerró hace %s: hasta que la persona escriba solo sale una plantilla.", EN: "WhatsApp's window closed %s ago: until the person writes only a template goes out."}

	queuePaused   = lang.Text{ES: "La cola %[1]s está en pausa: `psi-router queue resume %[1]s`.", EN: "The queue %[1]s is paused: `psi-router queue resume %[1]s`."}
	queueWaits    = lang.Text{ES: "La cola %s espera: %s.", EN: "The queue %s waits: %s."}
	queueDead     = lang.Text{ES: "Hay %[1]d trabajos abandonados en %[2]s: `psi-router dead list --queue %[2]s`.", EN: "There are %[1]d dead letters in %[2]s: `psi-router dead list --queue %[2]s`."}
	todoLeft      = lang.Text{ES: "Para que le conteste alguien: `psi-router conv handoff %[1]s --area EQUIPO`; si no hace falta: `psi-router left dismiss %[1]s`.", EN: "To have somebody answer: `psi-router conv handoff %[1]s --area TEAM`; if nothing is needed: `psi-router left dismiss %[1]s`."}
	todoBlocked   = lang.Text{ES: "Está bloqueado: no se le contesta nada. Para que se le conteste: `psi-router conv unblock %s`.", EN: "The person is blocked: nothing is answered. To answer again: `psi-router conv unblock %s`."}
	todoHandedOff = lang.Text{ES: "Para que vuelva al menú: `psi-router conv close %s`.", EN: "To give it back to the menu: `psi-router conv close %s`."}
	todoReconnect = lang.Text{ES: "Para que el bot conteste: `psi-router conv reconnect %s`.", EN: "To let the bot answer: `psi-router conv reconnect %s`."}
	todoUncertain = lang.Text{ES: "Preguntale a la persona si le llegó antes de repetir el mensaje: WhatsApp no contestó y no se repite solo.", EN: "Ask the person whether the message arrived before you repeat it: WhatsApp gave no answer, and the router does not repeat it."}
	todoToken     = lang.Text{ES: "El token de la línea no sirve más: poné uno nuevo en la configuración y reiniciá.", EN: "The line's token is no longer valid: put a new one into the configuration and restart."}
	todoTemplate  = lang.Text{ES: "Fuera de la ventana solo sale una plantilla aprobada.", EN: "Outside the window only an approved template goes out."}
	todoRefused   = lang.Text{ES: "WhatsApp lo rechazó con el código %d (%s); está explicado en la página de códigos de error de la Cloud API.", EN: "WhatsApp refused it with code %d (%s); the Cloud API's page of error codes explains it."}
	ofLine        = lang.Text{ES: "línea %s", EN: "line %s"}
	lastHappened  = lang.Text{ES: "Lo último que pasó:", EN: "What happened last:"}
	weWroteFirst  = lang.Text{ES: "escribimos primero", EN: "we wrote first"}
	nothingSent   = lang.Text{ES: "no se contestó nada", EN: "nothing was answered"}
	whatYouCanDo  = lang.Text{ES: "Qué podés hacer:", EN: "What you can do:"}

	// statusTexts describe the statuses of a message.
	statusTexts = map[string]lang.Text{
		"queued":    {ES: "espera para salir", EN: "waits to be sent"},
		"sending":   {ES: "está saliendo", EN: "is being sent"},
		"sent":      {ES: "salió", EN: "was sent"},
		"delivered": {ES: "le llegó", EN: "was delivered"},
		"read":      {ES: "la leyó", EN: "was read"},
		"played":    {ES: "la escuchó", EN: "was played"},
		"failed":    {ES: "NO salió", EN: "was NOT sent"},
		"uncertain": {ES: "no se sabe si salió", EN: "may have been sent"},
	}
	// refusals say why a message of ours was not sent, where the sentence of the reason is
	// about the person's message.
	refusals = map[router.Reason]lang.Text{
		router.Blocked:  {ES: "NO salió: la persona está bloqueada", EN: "was NOT sent: the person is blocked"},
		router.OptedOut: {ES: "NO salió: pidió no recibir promociones", EN: "was NOT sent: they asked for no marketing"},
	}
)
