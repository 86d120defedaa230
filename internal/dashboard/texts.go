package dashboard

import "github.com/psivisionhub/psi-router/internal/lang"

// labels are the texts of the template, by the name that it gives to Say.
var labels = map[string]lang.Text{
	"other":        {ES: "en", EN: "es"},
	"other name":   {ES: "English", EN: "Español"},
	"title":        {ES: "Estado del router", EN: "Router status"},
	"stale":        {ES: "Sin respuesta del router: lo que ves puede ser viejo.", EN: "The router does not answer: what you see may be old."},
	"sandbox":      {ES: "Probar en el teléfono", EN: "Try it on the phone"},
	"metrics":      {ES: "Métricas", EN: "Metrics"},
	"alerts":       {ES: "Alertas abiertas", EN: "Firing alerts"},
	"lines":        {ES: "Líneas", EN: "Lines"},
	"last message": {ES: "último mensaje", EN: "last message"},
	"no lines":     {ES: "No hay líneas configuradas.", EN: "No lines are configured."},
	"queues":       {ES: "Colas", EN: "Queues"},
	"queue":        {ES: "Cola", EN: "Queue"},
	"waiting":      {ES: "esperan", EN: "waiting"},
	"running":      {ES: "en curso", EN: "running"},
	"oldest":       {ES: "el más viejo", EN: "oldest"},
	"dead":         {ES: "apartados", EN: "dead letters"},
	"state":        {ES: "estado", EN: "state"},
	"no queues":    {ES: "Todavía no pasó nada por las colas.", EN: "Nothing has gone through the queues yet."},
	"checks":       {ES: "Chequeos", EN: "Checks"},
	"version":      {ES: "versión", EN: "version"},
	"up":           {ES: "en marcha desde hace", EN: "up for"},
}

// Rows and figures.
var (
	never  = lang.Text{ES: "todavía nada", EN: "nothing yet"}
	works  = lang.Text{ES: "anda", EN: "works"}
	paused = lang.Text{ES: "en pausa", EN: "paused"}
	heldTo = lang.Text{ES: "frenada hasta las %s", EN: "held until %s"}
	fine   = lang.Text{ES: "bien", EN: "fine"}
	broken = lang.Text{ES: "no anda", EN: "broken"}

	pending    = lang.Text{ES: "respuestas por salir", EN: "replies to send"}
	uncertain  = lang.Text{ES: "envíos dudosos", EN: "uncertain sends"}
	left       = lang.Text{ES: "quedaron sin respuesta", EN: "left without an answer"}
	unanswered = lang.Text{ES: "espera más larga", EN: "longest wait"}
	handedOff  = lang.Text{ES: "espera más larga de un equipo", EN: "longest wait for a team"}

	ago = lang.Text{ES: "hace %s", EN: "%s ago"}
)

// Headlines: what is wrong, and what to do.
var (
	allWell       = lang.Text{ES: "Todo bien", EN: "All well"}
	allWellMore   = lang.Text{ES: "Lo que llega se guarda y se responde.", EN: "Messages are stored and answered."}
	checkFails    = lang.Text{ES: "No anda: %s.", EN: "Broken: %s."}
	checkFix      = lang.Text{ES: "Mirá el registro del servicio; cuando vuelva, sigue solo y no se pierde nada.", EN: "Check the service's log; once it is back, work resumes automatically and nothing is lost."}
	lineFails     = lang.Text{ES: "La línea %s no anda: %s.", EN: "Line %s does not work: %s."}
	lineFix       = lang.Text{ES: "Arreglá lo que dice. Las otras líneas siguen igual, y lo que llega no se pierde.", EN: "Fix what it says. The other lines go on, and what arrives is not lost."}
	heldSend      = lang.Text{ES: "La línea %s no puede enviar: %s.", EN: "Line %s cannot send: %s."}
	heldOther     = lang.Text{ES: "La cola %s está frenada: %s.", EN: "Queue %s is held: %s."}
	heldFix       = lang.Text{ES: "Las respuestas esperan y no se pierden; se prueba sola. Si habla del token o de permisos, cargá un token nuevo.", EN: "Replies wait and are not lost; it retries by itself. If it mentions the token or permissions, set a new token."}
	pausedQueue   = lang.Text{ES: "La cola %s está en pausa.", EN: "Queue %s is paused."}
	pausedFix     = lang.Text{ES: "Lo que llega espera. Para seguir: psi-router queue resume %s", EN: "New jobs wait. To resume: psi-router queue resume %s"}
	deadOne       = lang.Text{ES: "Hay 1 trabajo apartado en la cola %s.", EN: "Queue %s has 1 dead letter."}
	deadMany      = lang.Text{ES: "Hay %d trabajos apartados en la cola %s.", EN: "There are %d dead letters in queue %s."}
	deadFix       = lang.Text{ES: "Mirá por qué con psi-router dead list; para reintentar: psi-router dead redrive", EN: "See why with psi-router dead list; to retry: psi-router dead redrive"}
	waited        = lang.Text{ES: "Hay gente que espera respuesta desde hace %s.", EN: "People have been waiting for an answer for %s."}
	waitedFix     = lang.Text{ES: "Mirá abajo qué cola está atrasada o frenada; psi-router why TELÉFONO dice por qué.", EN: "See below which queue is late or held; psi-router why PHONE gives the reason."}
	behind        = lang.Text{ES: "La cola %s viene atrasada: lo más viejo espera desde hace %s.", EN: "Queue %s is late: its oldest job has waited for %s."}
	behindFix     = lang.Text{ES: "Si no baja sola en unos minutos, sumá capacidad (worker.concurrency) o mirá la base de datos.", EN: "If it does not shrink within minutes, add capacity (worker.concurrency) or check the database."}
	uncertainOne  = lang.Text{ES: "Hay 1 envío dudoso: puede haber salido o no, y no se repite.", EN: "1 send is uncertain: it may or may not have left, and is not repeated."}
	uncertainMany = lang.Text{ES: "Hay %d envíos dudosos: pueden haber salido o no, y no se repiten.", EN: "%d sends are uncertain: they may or may not have left, and are not repeated."}
	uncertainFix  = lang.Text{ES: "Si WhatsApp informa su estado se aclaran solos; si no, mirá la conversación y escribí de nuevo si hace falta.", EN: "WhatsApp's statuses may resolve them; if not, check the conversation and write again if needed."}
)

var checkNames = map[string]lang.Text{
	"store":    {ES: "la base de datos", EN: "the database"},
	"queue":    {ES: "la cola", EN: "the queue"},
	"door":     {ES: "la entrada", EN: "the webhook"},
	"sends":    {ES: "los envíos", EN: "sending"},
	"disk":     {ES: "el disco", EN: "the disk"},
	"redis":    {ES: "Redis", EN: "Redis"},
	"database": {ES: "la base de datos", EN: "the database"},
	"media":    {ES: "la carpeta de archivos", EN: "the media folder"},
	"clock":    {ES: "el reloj", EN: "the clock"},
}

var checkFixes = map[string]lang.Text{
	"store":    {ES: "Revisá que la base de datos esté en pie y que haya espacio. WhatsApp vuelve a mandar lo que no se pudo guardar.", EN: "Check that the database is up and has space. WhatsApp sends again what could not be stored."},
	"database": {ES: "Revisá que la base de datos esté en pie y que haya espacio. WhatsApp vuelve a mandar lo que no se pudo guardar.", EN: "Check that the database is up and has space. WhatsApp sends again what could not be stored."},
	"queue":    {ES: "Revisá que la cola esté en pie y que haya espacio. WhatsApp vuelve a mandar lo que no se pudo guardar.", EN: "Check that the queue is up and has space. WhatsApp sends again what could not be stored."},
	"door":     {ES: "Revisá que Redis esté en pie y que haya espacio en el disco de data_dir. WhatsApp vuelve a mandar lo que no se pudo guardar.", EN: "Check that Redis is up, and that the disk of data_dir has space. WhatsApp sends again what could not be stored."},
	"redis":    {ES: "Revisá que Redis esté en pie. WhatsApp vuelve a mandar lo que no se pudo guardar.", EN: "Check that Redis is up. WhatsApp sends again what could not be stored."},
	"disk":     {ES: "Liberá espacio en el disco de data_dir: sin lugar no se puede guardar lo que llega.", EN: "Free space on the disk of data_dir: with a full disk no message can be stored."},
	"clock":    {ES: "Poné en hora esta máquina, por ejemplo con timedatectl set-ntp true.", EN: "Set the clock of this machine, for example with timedatectl set-ntp true."},
}

// queueNames are by what is before the colon of a queue's name; what is after it
// is its owner.
var queueNames = map[string]lang.Text{
	"inbound": {ES: "lo que llega", EN: "incoming messages"},
	"status":  {ES: "estados de envío", EN: "statuses"},
	"media":   {ES: "archivos", EN: "files"},
	"send":    {ES: "envíos de %s", EN: "sends of %s"},
	"events":  {ES: "avisos a %s", EN: "events to %s"},
}
