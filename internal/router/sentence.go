package router

// sentences describes each reason so that it reads well after a name and a time: the decision
// and, if useful, what ends it.
var sentences = []struct {
	reason Reason
	es, en string
}{
	{FirstContact, "Conversación nueva o recién recomenzada: se le mostró el menú.", "New or restarted conversation: the menu was shown."},
	{CommandMenu, "Pidió el menú y se le mostró.", "Asked for the menu, and got it."},
	{CommandBack, "Pidió volver y se le mostró el menú anterior.", "Asked to go back, and got the previous menu."},
	{CommandPerson, "Pidió hablar con una persona y pasó a un equipo.", "Asked for a person and was handed to a team."},
	{MenuChoice, "Escribió una opción del menú.", "Typed an option of the menu."},
	{ReplyChoice, "Tocó una opción del menú.", "Tapped an option of the menu."},
	{StaleReply, "Tocó una opción de un mensaje viejo: se le avisó y se le mostró el menú actual.", "Tapped an option of an old message: was told so and shown the current menu."},
	{TemplateButton, "Tocó un botón de una plantilla y se le contestó: no cambia nada más.", "Tapped a button of a template and was answered: nothing else changes."},
	{Greeting, "Saludó y se le mostró el menú.", "Said hello and was shown the menu."},
	{Courtesy, "Fue una cortesía (gracias, ok…): no es una opción.", "A courtesy (thanks, ok…): not a choice."},
	{Together, "Llegó junto con otro archivo que ya tuvo respuesta.", "Came together with another file, which had its answer."},
	{FormAnswer, "Mandó un formulario de WhatsApp: quedó guardado con sus respuestas.", "Sent a WhatsApp Flow: it is kept with its answers."},
	{InvalidInput, "No era una opción: se le mostró otra vez el menú.", "Not an option: the menu was shown again."},
	{OfferPerson, "Varias respuestas sin opción válida, o muchos mensajes automáticos: se le ofreció una persona.", "Several invalid answers, or many automatic messages: a person was offered."},
	{OfferDeclined, "No quiso hablar con una persona: se le mostró el menú.", "Declined a person and was shown the menu."},
	{HandedOff, "Pasó a un equipo. Desde acá contesta una persona.", "Handed to a team. From here on a person answers."},
	{HandedOffSilent, "La conversación la tiene un equipo: el router se calla hasta que la cierren.", "A team has the conversation: the router is silent until they close it."},
	{DisconnectedSilent, "La conversación está desconectada del router: no contesta hasta que la reconecten.", "The conversation is disconnected: the router is silent until it is reconnected."},
	{ClosedReopened, "Estaba cerrada y volvió a escribir: se le mostró el menú.", "It was closed and the person wrote again: the menu was shown."},
	{WindowExpired, "Volvió a escribir después de que venció la ventana: se le mostró el menú desde el principio.", "Wrote again after the service window ended: the menu was shown from the start."},
	{HandoffTimeout, "Nadie escribió por mucho tiempo: terminó la derivación.", "Nobody wrote for a long time: the hand-off ended."},
	{Stale, "Llegó demasiado tarde para contestarlo: quedó guardado.", "Arrived too old to be answered: it is kept."},
	{Late, "Llegó por un desvío (cola local o reenvío): quedó guardado y no cambia nada.", "Came by a detour (spool or redrive): it is kept and changes nothing."},
	{Duplicate, "WhatsApp lo mandó otra vez: ya estaba atendido.", "WhatsApp delivered it again: it had been handled."},
	{UnknownShape, "El aviso no tiene una forma conocida: quedó guardado como vino.", "The payload has no known shape: it is kept as it came."},
	{UnknownType, "Es un tipo de mensaje que no se puede leer: quedó guardado como vino.", "A type of message that cannot be read: it is kept as it came."},
	{UnknownLine, "Llegó para un número que no está configurado: quedó en cuarentena.", "It came for a number that is not configured: it is in quarantine."},
	{Group, "Es de un grupo: los grupos no se contestan.", "It is from a group: groups are not answered."},
	{EchoSent, "Lo escribimos nosotros desde otro dispositivo.", "Our own side wrote it from another device."},
	{System, "Es un aviso de WhatsApp y no un mensaje.", "A notice of WhatsApp, not a message."},
	{Reaction, "Es una reacción: se anota en su mensaje y no se contesta.", "A reaction: noted on its message and not answered."},
	{Edited, "Editó un mensaje: se anota y no se contesta.", "An edit: noted and not answered."},
	{Revoked, "Borró un mensaje: se anota y no se contesta.", "A deletion: noted and not answered."},
	{Blocked, "El contacto está bloqueado: se guarda y no se contesta.", "The contact is blocked: kept and not answered."},
	{OptedOut, "Pidió no recibir promociones: no se le mandan más, y todo lo demás sigue igual.", "Asked for no marketing: none is sent any more, and all else stays as it is."},
	{OptedIn, "Pidió volver a recibir promociones.", "Asked for marketing again."},
	{Budget, "Se llegó al tope de mensajes automáticos por hora: el router se calla.", "The hour's limit of automatic messages is reached: the router is silent."},
	{Invalid, "No se pudo procesar: quedó guardado con su error.", "It could not be handled: it is kept with its error."},
	{StandbyCopy, "Es una copia: la conversación la atiende otra aplicación.", "A copy: another app owns the thread."},
	{HistoryChunk, "Son mensajes viejos del historial: no se contestan.", "Old messages of the history: not answered."},
	{AccountNotice, "Es un aviso sobre el número, la cuenta o sus plantillas.", "A notice about the number, the account or its templates."},
	{ProviderError, "WhatsApp informó un problema de la cuenta o de la aplicación.", "WhatsApp reported a problem of the account or the app."},

	{Superseded, "No salió: la conversación ya había cambiado.", "Not sent: the conversation had moved on."},
	{Expired, "No salió a tiempo: contestar tarde no servía.", "Not sent in time: a late answer would not have helped."},
	{WindowClosed, "No salió: la ventana de WhatsApp está cerrada y hace falta una plantilla.", "Not sent: the service window is closed and a template is needed."},
	{Refused, "El proveedor lo rechazó.", "The provider refused it."},
	{UncertainFor, "No se sabe si salió: no se repite a ciegas.", "It is not known whether it was sent: it is not repeated blindly."},

	{ByAgent, "Escribió una persona de nuestro lado: la conversación es suya.", "One of ours wrote: the conversation is theirs."},
	{ByAPI, "Lo pidió un programa por la API.", "A program asked for it through the API."},
	{Closed, "Se cerró la conversación.", "The conversation was closed."},
	{Reopened, "Se reabrió: el próximo mensaje recibe el menú.", "Reopened: the next message gets the menu."},
	{Disconnect, "Se desconectó del router.", "Disconnected from the router."},
	{Reconnect, "Se reconectó: el próximo mensaje recibe el menú.", "Reconnected: the next message gets the menu."},
	{ResetByHand, "Se reinició: el próximo mensaje recibe el menú.", "Reset: the next message gets the menu."},
	{AfterOutage, "Había quedado sin respuesta por un problema nuestro: se le pidió disculpas.", "Had been left without an answer by a problem of ours: got an apology."},
	{NoEffect, "No cambió nada: ya estaba así o no correspondía.", "Nothing changed: it was so already, or did not fit."},
}

// Reasons lists every reason, decisions about messages first.
func Reasons() []Reason {
	list := make([]Reason, len(sentences))
	for i, s := range sentences {
		list[i] = s.reason
	}
	return list
}

// Text returns the reason as a sentence, in "en" or else in Spanish. A reason of a newer
// version is returned as its code.
func (r Reason) Text(lang string) string {
	for _, s := range sentences {
		if s.reason != r {
			continue
		}
		if lang == "en" {
			return s.en
		}
		return s.es
	}
	return string(r)
}
