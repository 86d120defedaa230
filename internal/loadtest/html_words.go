package loadtest

// spanish and english are what the page says.
var spanish = map[string]string{
	"title": "Prueba de carga", "good": "Ni un mensaje perdido, duplicado ni desordenado", "bad": "Algo no salió como debía",
	"interrupted": "Se cortó antes de tiempo: esto es lo que se llegó a hacer.",
	"router":      "Router", "embedded": "un proceso sobre SQLite", "webhooks": "webhooks", "workers": "workers",
	"slow": "PostgreSQL más lento", "redis": "kill -9 a Redis en el medio", "load": "Carga", "closed": "cada pedido sale cuando se contestó el anterior",
	"perSecond": "pedidos/s", "people": "personas", "each": "por pedido", "together": "salen juntos", "statusesEach": "estados por respuesta", "connections": "conexiones", "seed": "semilla",
	"requests": "pedidos", "messages": "mensajes", "statuses": "estados", "stored": "guardados", "late": "tarde", "answers": "respuestas",
	"lost": "perdidos", "doubled": "duplicados", "reordered": "desordenados", "unanswered": "sin respuesta", "missed": "no llegaron a salir",
	"repeated": "repetidos a propósito", "retried": "vueltos a mandar", "unsure": "sin saber si llegaron", "uncertain": "inciertas", "failed": "fallidas",
	"webhook": "webhook", "reply": "respuesta", "longest": "máximo", "wait": "espera",
	"honest":     "El webhook se mide hasta su 200; la respuesta, hasta que WhatsApp la tiene. A ritmo fijo el tiempo corre desde que el pedido debía salir, haya o no alguien libre para mandarlo.",
	"throughput": "Por segundo", "webhookTime": "Webhook: lo que tarda el 200", "replyTime": "Respuesta: lo que espera la gente", "depth": "En colas", "jobs": "trabajos", "percentiles": "Espera por percentil",
	"blind": "Las respuestas no llegaron a esta prueba: el graph_url de ese router apunta a otro lado.", "wrong": "Lo que está mal",
}

var english = map[string]string{
	"title": "Load test", "good": "Not one message was lost, doubled or reordered", "bad": "Something is not as it should be",
	"interrupted": "It ended early: this is what was done until then.",
	"router":      "Router", "embedded": "one process on SQLite", "webhooks": "webhooks", "workers": "workers",
	"slow": "PostgreSQL slower by", "redis": "kill -9 of Redis in the middle", "load": "Load", "closed": "each request leaves when the one before it was answered",
	"perSecond": "requests/s", "people": "people", "each": "in a request", "together": "leave together", "statusesEach": "statuses for each answer", "connections": "connections", "seed": "seed",
	"requests": "requests", "messages": "messages", "statuses": "statuses", "stored": "stored", "late": "late", "answers": "answers",
	"lost": "lost", "doubled": "doubled", "reordered": "reordered", "unanswered": "unanswered", "missed": "never left",
	"repeated": "repeated on purpose", "retried": "posted again", "unsure": "may have arrived", "uncertain": "uncertain", "failed": "failed",
	"webhook": "webhook", "reply": "reply", "longest": "longest", "wait": "wait",
	"honest":     "The webhook is measured until its 200, the reply until WhatsApp has it. At a rate, time runs from when a request was due, whether or not somebody was free to post it.",
	"throughput": "Each second", "webhookTime": "Webhook: how long its 200 takes", "replyTime": "Reply: how long people wait", "depth": "In queues", "jobs": "jobs", "percentiles": "Wait by percentile",
	"blind": "The answers did not come to this test: the graph_url of that router points elsewhere.", "wrong": "What is wrong",
}
