package router

import "testing"

// openings are real first messages. None may be answered with "I did not find that option".
var openings = []string{
	"hola", "Hola!", "HOLA", "holaa", "holaaaaa", "Hola 👋", "hola 😊", "¡Hola!", "hola.", "Hola hola", "holis", "hi", "Hello",
	"buenas", "Buenas!", "muy buenas", "buen dia", "Buen día", "buen día!", "Buenos dias", "buenos días.", "BUENAS TARDES", "buenas tardes 🙂",
	"Buenas noches", "hola buenas", "Hola, buen día", "hola buenas tardes", "Hola!! Buenas noches", "hola, ¿cómo estás?", "Hola cómo están?",
	"hola que tal", "Hola! Qué tal?", "buen dia, como va", "Buenas, ¿todo bien?", "hola buen dia como estan", "que tal",
	"menu", "Menú", "MENU", "0", "inicio", "info", "Información", "quiero información", "Más información", "cursos", "Inscripciones", "inscripcion",
	"quiero inscribirme", "administración", "Alumnos", "soy alumna", "comunidad", "otra consulta", "quiero hablar con una persona", "asesora",
	"gracias", "ok, gracias", "Dale, perfecto", "👍", "🙏🏼", "1", "33",
}

func TestRealOpenings(t *testing.T) {
	t.Parallel()
	rules := psiRules(t)
	for _, s := range openings {
		first := checkStep(t, rules, NewConversation("wsp4"), text(s), monday)
		if len(first.Replies) != 1 {
			t.Errorf("%q as a first contact: %s, %d replies", s, first.Reason, len(first.Replies))
		}
		later := play(t, rules, NewConversation("wsp4"), "hola", s)
		if later.Reason == InvalidInput || len(later.Replies) != 1 {
			t.Errorf("%q in the menu: %s, %d replies", s, later.Reason, len(later.Replies))
		}
	}
}
