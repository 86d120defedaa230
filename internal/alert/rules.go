package alert

import (
	"time"

	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/lang"
)

// Tuning holds the thresholds that an operator may set.
type Tuning struct {
	// SilentAfter is the working time after which a line without messages raises an alert,
	// TeamAfter the working time that a person may wait for a team. 0: never.
	SilentAfter, TeamAfter time.Duration
}

// Defaults of Tuning.
const (
	SilentAfter = 3 * time.Hour
	TeamAfter   = 2 * time.Hour
)

// DiskFull is the used part of a disk above which it counts as full.
const DiskFull = 0.9

// outageInhibitors are the rules that explain any waiting.
func outageInhibitors() []Inhibitor { return []Inhibitor{{Rule: "no_workers"}, {Rule: "check_down"}} }

// queueAgeInhibitors are the rules that explain the age of a queue.
func queueAgeInhibitors() []Inhibitor {
	return append(outageInhibitors(), Inhibitor{Rule: "queue_held", SameSubject: true}, Inhibitor{Rule: "queue_paused", SameSubject: true})
}

// answerInhibitors are the rules that explain why people get no answer.
func answerInhibitors() []Inhibitor {
	of := []string{job.Inbound, job.SendPrefix}
	return append(outageInhibitors(), Inhibitor{Rule: "queue_held", SubjectPrefixes: of}, Inhibitor{Rule: "queue_paused", SubjectPrefixes: of}, Inhibitor{Rule: "inbound_age"},
		Inhibitor{Rule: "queue_age", SubjectPrefixes: of})
}

// Rules returns the rules. deploy/prometheus/rules.yml is generated from them.
func Rules(t Tuning) []Rule {
	rules := []Rule{
		{
			ID: "no_workers", Severity: Critical, Measure: Workers, For: time.Minute, Clear: 30 * time.Second,
			Expr: `max(psi_workers) < 1`, Command: "psi-router queue stats",
			Problem:  lang.Text{ES: "No hay ningún worker en marcha: lo que llega se guarda, y nadie lo responde.", EN: "No worker is running: incoming messages are kept and not answered."},
			Fix:      lang.Text{ES: "Arrancalos (psi-router serve --role worker; pm2 start o systemctl start) y mirá cómo baja la cola.", EN: "Start them (psi-router serve --role worker; pm2 start or systemctl start) and watch the queue go down."},
			Resolved: lang.Text{ES: "Hay workers en marcha de nuevo; lo que esperaba se responde en orden.", EN: "Workers are running again; the messages that waited are answered in order."},
		},
		{
			ID: "check_down", Severity: Critical, Measure: CheckDown, For: time.Minute, Clear: time.Minute,
			Expr: `min by (check) (psi_check_up{check=~"store|queue"}) < 1`, By: "check", Command: "systemctl status redis-server postgresql",
			Problem:  lang.Text{ES: "No anda {subject}: {detail}.", EN: "{subject} is down: {detail}."},
			Fix:      lang.Text{ES: "Revisá que el servicio esté en pie y que haya espacio en disco. No se pierde nada: WhatsApp vuelve a mandar lo que no se pudo guardar.", EN: "Check that the service is up and that its disk has room. Nothing is lost: WhatsApp sends again what could not be stored."},
			Resolved: lang.Text{ES: "{subject} anda de nuevo.", EN: "{subject} works again."},
		},
		{
			ID: "queue_held", Severity: Critical, Measure: QueueHeld, For: 2 * time.Minute, Clear: 3 * time.Minute,
			Expr: `max by (queue) (max_over_time(psi_queue_held[1m])) > 0`, By: "queue", Command: "psi-router queue stats",
			Problem:  lang.Text{ES: "La cola {subject} está frenada: {detail}.", EN: "The queue {subject} is held: {detail}."},
			Fix:      lang.Text{ES: "Lo que espera no se pierde y se prueba solo. Si habla del token o de permisos, cargá un token nuevo; si es un destino de eventos, revisá ese sistema.", EN: "What waits is not lost, and is retried by itself. If the reason is the token or a permission, set a new token. If it is an endpoint, look at that system."},
			Resolved: lang.Text{ES: "La cola {subject} sale de nuevo.", EN: "The queue {subject} is moving again."},
		},
		{
			ID: "queue_paused", Severity: Warning, Measure: QueuePaused, For: 30 * time.Minute, Clear: 0,
			Expr: `max by (queue) (psi_queue_paused) * on (queue) max by (queue) (psi_queue_depth) > 0`, By: "queue",
			Command:  "psi-router queue resume {subject}",
			Problem:  lang.Text{ES: "La cola {subject} está en pausa hace más de media hora, y hay quien espera.", EN: "The queue {subject} has been paused for over half an hour, and jobs are waiting."},
			Fix:      lang.Text{ES: "Si nadie la necesita en pausa, reanudala.", EN: "If the pause is no longer needed, resume the queue."},
			Resolved: lang.Text{ES: "La cola {subject} ya no está en pausa.", EN: "The queue {subject} is no longer paused."},
		},
		{
			ID: "queue_emptied", Severity: Critical, Measure: QueueEmptied, For: 0, Clear: 0,
			Expr: `max(psi_queue_emptied) > 0`, Command: "psi-router queue stats",
			Problem:  lang.Text{ES: "Redis volvió vacío: se perdió lo que esperaba en la cola ({detail}).", EN: "Redis came back empty: the jobs in the queue are lost ({detail})."},
			Fix:      lang.Text{ES: "Lo que ya se decidió está en la base y sale solo; lo que llegó y todavía no se había leído, no. Mirá que Redis guarde en disco (appendfsync always) y quién lo borró.", EN: "What was decided is in the database and is sent by itself. What had arrived and was not read yet is gone. Check that Redis keeps its data (appendfsync always), and who emptied it."},
			Resolved: lang.Text{ES: "Pasó un día desde que Redis volvió vacío.", EN: "A day has passed since Redis came back empty."},
		},
		{
			ID: "clock_wrong", Severity: Critical, Measure: ClockWrong, For: time.Minute, Clear: time.Minute, Unit: Seconds,
			Expr: `max by (instance) (abs(psi_clock_ahead_seconds)) > 120`, By: "instance", Command: "timedatectl",
			Problem:  lang.Text{ES: "El reloj de {subject} está a {value} del de WhatsApp.", EN: "The clock of {subject} is {value} off WhatsApp's."},
			Fix:      lang.Text{ES: "Ponelo en hora (NTP: systemctl enable --now systemd-timesyncd). Los mensajes se siguen respondiendo, contados con la hora de WhatsApp; las horas que ve el equipo están mal.", EN: "Set it (NTP: systemctl enable --now systemd-timesyncd). Messages are still answered, by WhatsApp's time; the times that the team sees are wrong."},
			Resolved: lang.Text{ES: "El reloj de {subject} está bien de nuevo.", EN: "The clock of {subject} is right again."},
		},
		{
			ID: "inbound_age", Severity: Critical, Measure: InboundAge, Above: 60, For: 2 * time.Minute, Clear: time.Minute,
			InhibitedBy: queueAgeInhibitors(), Unit: Seconds,
			Expr: `max by (queue) (psi_queue_oldest_seconds{queue="inbound"}) > 60`, By: "queue", Command: "psi-router queue stats",
			Problem:  lang.Text{ES: "Lo que llega se procesa tarde: el mensaje más viejo espera desde hace {value}.", EN: "Messages are handled late: the oldest one has waited for {value}."},
			Fix:      lang.Text{ES: "Si no baja sola en unos minutos, sumá workers o worker.concurrency, o mirá si la base de datos está lenta.", EN: "If it does not go down by itself in a few minutes, add workers or worker.concurrency, or see whether the database is slow."},
			Resolved: lang.Text{ES: "Lo que llega se procesa enseguida de nuevo.", EN: "Messages are handled at once again."},
		},
		{
			ID: "queue_age", Severity: Warning, Measure: QueueAge, Above: 600, For: 2 * time.Minute, Clear: 2 * time.Minute,
			InhibitedBy: queueAgeInhibitors(), Unit: Seconds,
			Expr: `max by (queue) (psi_queue_oldest_seconds{queue!="inbound"}) > 600`, By: "queue", Command: "psi-router queue stats",
			Problem:  lang.Text{ES: "La cola {subject} viene atrasada: lo más viejo espera desde hace {value}.", EN: "The queue {subject} is behind: the oldest job has waited for {value}."},
			Fix:      lang.Text{ES: "Mirá el registro de los workers. Si es el destino de eventos, está lento; si son envíos, puede ser el límite de la línea (rate).", EN: "Look at the workers' log. An endpoint may be slow; sends may be at the line's limit (rate)."},
			Resolved: lang.Text{ES: "La cola {subject} está al día.", EN: "The queue {subject} has caught up."},
		},
		{
			ID: "router_answer", Severity: Critical, Measure: RouterAnswer, Above: 180, For: 2 * time.Minute, Clear: time.Minute,
			InhibitedBy: answerInhibitors(), Unit: Seconds,
			Expr: `max(psi_oldest_unanswered_seconds{waits_for="router"}) > 180`, Command: "psi-router queue stats",
			Problem:  lang.Text{ES: "Hay alguien que espera la respuesta automática desde hace {value}.", EN: "A person has waited {value} for an automatic answer."},
			Fix:      lang.Text{ES: "Mirá qué cola está atrasada o frenada; psi-router why TELÉFONO dice por qué no salió una respuesta.", EN: "See which queue is behind or held; psi-router why PHONE says why an answer was not sent."},
			Resolved: lang.Text{ES: "Nadie espera más una respuesta automática.", EN: "Nobody is waiting for an automatic answer any more."},
		},
		{
			ID: "left", Severity: Warning, Measure: LeftPeople, For: time.Minute, Clear: 0,
			Expr: `max(psi_conversations_left) > 0`, Command: "psi-router left",
			Problem:  lang.Text{ES: "Hay gente que quedó sin respuesta, y nadie le va a escribir: {value}.", EN: "People got no answer, and nobody will write to them: {value}."},
			Fix:      lang.Text{ES: "La lista dice a quién y por qué. Escribiles o derivalas a un equipo; a quien no haga falta, sacalo con psi-router left dismiss.", EN: "The list says who, and why. Write to them or hand them to a team; take off it whoever needs nothing with psi-router left dismiss."},
			Resolved: lang.Text{ES: "No queda nadie sin respuesta.", EN: "Nobody is left without an answer."},
		},
		{
			ID: "failed_sends", Severity: Critical, Measure: FailedSends, Above: 0.2, For: time.Minute, Clear: 5 * time.Minute,
			Unit: Ratio,
			Expr: `sum by (line) (increase(psi_sends_total{verdict!~"sent|pair|not_begun"}[15m])) / sum by (line) (increase(psi_sends_total{verdict!="not_begun"}[15m])) > 0.2` +
				` and sum by (line) (increase(psi_sends_total{verdict!="not_begun"}[15m])) >= 10`,
			By: "line", Command: "psi-router trace PHONE",
			Problem:  lang.Text{ES: "Fallan los envíos de la línea {subject}: {value} del último cuarto de hora.", EN: "Sends of the line {subject} are failing: {value} of those in the last 15 minutes."},
			Fix:      lang.Text{ES: "El registro de los workers dice qué contesta WhatsApp (code y detail); psi-router trace de alguien a quien le falló lo muestra.", EN: "The workers' log says what WhatsApp answers (code and detail); psi-router trace of somebody whose send failed shows it."},
			Resolved: lang.Text{ES: "Los envíos de la línea {subject} salen bien de nuevo.", EN: "Sends of the line {subject} work again."},
		},
		{
			ID: "dead_letters", Severity: Warning, Measure: DeadLetters, For: time.Minute, Clear: 0,
			Expr: `max by (queue) (psi_queue_dead) > 0`, By: "queue", Command: "psi-router dead redrive --queue {subject}",
			Problem:  lang.Text{ES: "Hay trabajos apartados en la cola {subject}: {value}.", EN: "The queue {subject} has dead letters: {value}."},
			Fix:      lang.Text{ES: "Mirá por qué con psi-router dead list, y reintentá cuando la causa esté arreglada.", EN: "See why with psi-router dead list, and redrive them once the cause is fixed."},
			Resolved: lang.Text{ES: "No quedan trabajos apartados en la cola {subject}.", EN: "The queue {subject} has no dead letters any more."},
		},
		{
			ID: "disk_used", Severity: Critical, Measure: DiskUsed, Above: DiskFull, For: 5 * time.Minute, Clear: 5 * time.Minute, Unit: Ratio,
			Expr: `max by (instance, dir) (1 - psi_disk_free_bytes / psi_disk_size_bytes) > 0.9`, By: "instance, dir", Command: "df -h; du -xh DIR | sort -h | tail",
			Problem:  lang.Text{ES: "Queda poco lugar en el disco de {subject}: está usado el {value}.", EN: "The disk of {subject} is nearly full: {value} is used."},
			Fix:      lang.Text{ES: "Liberá espacio o agrandalo: sin lugar no se puede guardar lo que llega.", EN: "Free space or enlarge it: with a full disk no message can be stored."},
			Resolved: lang.Text{ES: "Hay lugar de nuevo en el disco de {subject}.", EN: "The disk of {subject} has room again."},
		},
	}
	if t.SilentAfter > 0 {
		rules = append(rules, Rule{
			ID: "silent_line", Severity: Warning, Measure: SilentLine, Above: t.SilentAfter.Seconds(), For: 0, Clear: 0,
			InhibitedBy: outageInhibitors(), Unit: Seconds, WorkHours: true,
			Expr: `time() - max by (line) (psi_line_last_inbound_timestamp_seconds) > ` + formatNumber(t.SilentAfter.Seconds()), By: "line",
			Command:  "curl -s URL/readyz",
			Problem:  lang.Text{ES: "La línea {subject} no recibe nada desde hace {value} de horario de trabajo.", EN: "The line {subject} has received nothing for {value} of working time."},
			Fix:      lang.Text{ES: "Escribile desde un teléfono. Si no llega, revisá en Meta el webhook y su suscripción (o el QR, si es Evolution), y el certificado y el proxy de este servidor.", EN: "Write to it from a phone. If the message does not arrive, check the webhook and its subscription at Meta (or the QR code, with Evolution), and this server's certificate and proxy."},
			Resolved: lang.Text{ES: "La línea {subject} recibe de nuevo.", EN: "The line {subject} is receiving again."},
		})
	}
	if t.TeamAfter > 0 {
		rules = append(rules, Rule{
			ID: "team_answer", Severity: Warning, Measure: TeamAnswer, Above: t.TeamAfter.Seconds(), For: 0, Clear: 0, Unit: Seconds, WorkHours: true,
			Expr:     `max(psi_oldest_unanswered_seconds{waits_for="team"}) > ` + formatNumber(t.TeamAfter.Seconds()),
			Command:  "curl -s -H 'Authorization: Bearer KEY' 'URL/api/v1/conversations?state=handed_off'",
			Problem:  lang.Text{ES: "Hay alguien derivado que espera a una persona desde hace {value} de horario de trabajo.", EN: "A handed-off person has waited for the team for {value} of working time."},
			Fix:      lang.Text{ES: "Avisale al equipo: que conteste, o que cierre la conversación si ya está resuelta.", EN: "Tell the team to answer, or to close the conversation if it is settled."},
			Resolved: lang.Text{ES: "Nadie derivado espera más de la cuenta.", EN: "Nobody who was handed off is waiting too long any more."},
		})
	}
	return rules
}
