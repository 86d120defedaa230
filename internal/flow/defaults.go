package flow

// defaultTexts returns the texts of a flow that has none of its own.
func defaultTexts() Texts {
	return Texts{
		HandedOff:    "✅ Listo, te paso con *{area}*. Tu número es {ticket}. {expected}",
		Transferred:  "🔄 Te paso con *{area}*, que te puede ayudar mejor. Tu número sigue siendo {ticket}. {expected}",
		Invalid:      "No encontré esa opción 🙈 Mirá el menú y mandame el número.",
		OfferPerson:  "Creo que no te estoy entendiendo 😅 ¿Querés que te atienda una persona?",
		OfferYes:     "Sí, por favor",
		OfferNo:      "No, ver el menú",
		StaleReply:   "Esa opción era de un mensaje anterior. Te dejo el menú de ahora 👇",
		Unsupported:  "Por acá todavía no puedo ver ese tipo de mensaje 🙏 Elegí una opción y una persona lo mira.",
		MenuButton:   "Ver opciones",
		WindowReopen: "¡Qué bueno tenerte de vuelta! 👋",
		OptedOut:     "Listo, no te vamos a mandar más promociones. Si querés volver a recibirlas, escribí ALTA. Para todo lo demás seguimos acá 🙂",
		OptedIn:      "¡Genial! Vas a volver a recibir nuestras novedades. Si cambiás de idea, escribí BAJA.",
		Apology:      "Perdoná la demora: tuvimos un problema y tu mensaje quedó sin respuesta 🙏 Si todavía lo necesitás, acá estamos.",
	}
}

// defaultCommands returns the commands of a flow that has none of its own.
func defaultCommands() Commands {
	return Commands{
		Menu:     []string{"menu", "0", "inicio"},
		Back:     []string{"volver", "atras"},
		Person:   []string{"persona", "humano", "asesor", "asesora", "hablar con alguien", "hablar con una persona", "quiero hablar con una persona", "quiero hablar con alguien"},
		Greeting: []string{"hola", "hi", "buenas", "buen dia", "buenos dias", "buenas tardes", "buenas noches"},
		Courtesy: []string{"gracias", "muchas gracias", "ok", "okay", "bueno", "dale", "perfecto", "genial", "listo", "si", "no", "👍", "🙏", "😊", "❤", "✅", "👌"},
		Yes:      []string{"si", "si por favor", "dale", "ok", "bueno", "claro", "quiero", "por favor", "👍"},
		No:       []string{"no", "no gracias"},
		Stop:     []string{"baja", "stop"},
		Start:    []string{"alta"},
	}
}
