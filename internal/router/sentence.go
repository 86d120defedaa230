package router

import "github.com/psivisionhub/psi-router/internal/lang"

// sentences describes each reason so that it reads well after a name and a time: the decision
// and, if useful, what ends it.
var sentences = []struct {
	reason Reason
	text   lang.Text
}{
	{FirstContact, lang.Text{ES: "Conversación nueva o recién recomenzada: se le mostró el menú.", EN: "New or restarted conversation: the menu was shown."}},
	{CommandMenu, lang.Text{ES: "Pidió el menú y se le mostró.", EN: "Asked for the menu, and got it."}},
	{CommandBack, lang.Text{ES: "Pidió volver y se le mostró el menú anterior.", EN: "Asked to go back, and got the previous menu."}},
	{CommandPerson, lang.Text{ES: "Pidió hablar con una persona y pasó a un equipo.", EN: "Asked for a person and was handed to a team."}},
	{MenuChoice, lang.Text{ES: "Escribió una opción del menú.", EN: "Typed a menu option."}},
	{ReplyChoice, lang.Text{ES: "Tocó una opción del menú.", EN: "Tapped a menu option."}},
	{StaleReply, lang.Text{ES: "Tocó una opción de un mensaje viejo: se le avisó y se le mostró el menú actual.", EN: "Tapped an option of an old message: was told so, and got the current menu."}},
	{TemplateButton, lang.Text{ES: "Tocó un botón de una plantilla y se le contestó: no cambia nada más.", EN: "Tapped a template button and was answered: nothing else changes."}},
	{Greeting, lang.Text{ES: "Saludó y se le mostró el menú.", EN: "Said hello and was shown the menu."}},
	{Courtesy, lang.Text{ES: "Fue una cortesía (gracias, ok…): no es una opción.", EN: "A courtesy (thanks, ok…): not a choice."}},
	{Together, lang.Text{ES: "Llegó junto con otro archivo que ya tuvo respuesta.", EN: "Came together with another file, which was answered."}},
	{FormAnswer, lang.Text{ES: "Mandó un formulario de WhatsApp: quedó guardado con sus respuestas.", EN: "Sent a WhatsApp Flow: it is kept with its answers."}},
	{InvalidInput, lang.Text{ES: "No era una opción: se le mostró otra vez el menú.", EN: "Not an option: the menu was shown again."}},
	{OfferPerson, lang.Text{ES: "Varias respuestas sin opción válida, o muchos mensajes automáticos: se le ofreció una persona.", EN: "Several invalid answers, or many automatic messages: a person was offered."}},
	{OfferDeclined, lang.Text{ES: "No quiso hablar con una persona: se le mostró el menú.", EN: "Declined a person and was shown the menu."}},
	{HandedOff, lang.Text{ES: "Pasó a un equipo. Desde acá contesta una persona.", EN: "Handed to a team. From here on a person answers."}},
	{HandedOffSilent, lang.Text{ES: "La conversación la tiene un equipo: el router se calla hasta que la cierren.", EN: "A team has the conversation: the router is silent until they close it."}},
	{DisconnectedSilent, lang.Text{ES: "La conversación está desconectada del router: no contesta hasta que la reconecten.", EN: "The conversation is disconnected: the router is silent until it is reconnected."}},
	{ClosedReopened, lang.Text{ES: "Estaba cerrada y volvió a escribir: se le mostró el menú.", EN: "It was closed and the person wrote again: the menu was shown."}},
	{WindowExpired, lang.Text{ES: "Volvió a escribir después de que venció la ventana: se le mostró el menú desde el principio.", EN: "Wrote again after the service window ended: the menu was shown from the start."}},
	{HandoffTimeout, lang.Text{ES: "Nadie escribió por mucho tiempo: terminó la derivación.", EN: "Nobody wrote for a long time: the hand-off ended."}},
	{Stale, lang.Text{ES: "Llegó demasiado tarde para contestarlo: quedó guardado.", EN: "Arrived too old to be answered: it is kept."}},
	{Late, lang.Text{ES: "Llegó por un desvío (cola local o reenvío): quedó guardado y no cambia nada.", EN: "Came by a detour (spool or redrive): it is kept and changes nothing."}},
	{Duplicate, lang.Text{ES: "WhatsApp lo mandó otra vez: ya estaba atendido.", EN: "WhatsApp delivered it again: it had been handled."}},
	{UnknownShape, lang.Text{ES: "El aviso no tiene una forma conocida: quedó guardado como vino.", EN: "The payload has no known shape: it is kept as it came."}},
	{UnknownType, lang.Text{ES: "Es un tipo de mensaje que no se puede leer: quedó guardado como vino.", EN: "A type of message that cannot be read: it is kept as it came."}},
	{UnknownLine, lang.Text{ES: "Llegó para un número que no está configurado: quedó en cuarentena.", EN: "It came for a number that is not configured: it is in quarantine."}},
	{Group, lang.Text{ES: "Es de un grupo: los grupos no se contestan.", EN: "It is from a group: groups are not answered."}},
	{EchoSent, lang.Text{ES: "Lo escribimos nosotros desde otro dispositivo.", EN: "Our own side wrote it from another device."}},
	{System, lang.Text{ES: "Es un aviso de WhatsApp y no un mensaje.", EN: "A notice of WhatsApp, not a message."}},
	{Reaction, lang.Text{ES: "Es una reacción: se anota en su mensaje y no se contesta.", EN: "A reaction: noted on its message and not answered."}},
	{Edited, lang.Text{ES: "Editó un mensaje: se anota y no se contesta.", EN: "An edit: noted and not answered."}},
	{Revoked, lang.Text{ES: "Borró un mensaje: se anota y no se contesta.", EN: "A deletion: noted and not answered."}},
	{Blocked, lang.Text{ES: "El contacto está bloqueado: se guarda y no se contesta.", EN: "The contact is blocked: kept and not answered."}},
	{OptedOut, lang.Text{ES: "Pidió no recibir promociones: no se le mandan más, y todo lo demás sigue igual.", EN: "Opted out of marketing: none is sent any more, and everything else stays the same."}},
	{OptedIn, lang.Text{ES: "Pidió volver a recibir promociones.", EN: "Opted in to marketing again."}},
	{Budget, lang.Text{ES: "Se llegó al tope de mensajes automáticos por hora: el router se calla.", EN: "The hourly limit on automatic messages was reached: the router is silent."}},
	{Invalid, lang.Text{ES: "No se pudo procesar: quedó guardado con su error.", EN: "It could not be handled: it is kept with its error."}},
	{StandbyCopy, lang.Text{ES: "Es una copia: la conversación la atiende otra aplicación.", EN: "A copy: another app owns the thread."}},
	{HistoryChunk, lang.Text{ES: "Son mensajes viejos del historial: no se contestan.", EN: "Old messages from the history: not answered."}},
	{AccountNotice, lang.Text{ES: "Es un aviso sobre el número, la cuenta o sus plantillas.", EN: "A notice about the number, the account or its templates."}},
	{ProviderError, lang.Text{ES: "WhatsApp informó un problema de la cuenta o de la aplicación.", EN: "WhatsApp reported a problem with the account or the app."}},

	{Superseded, lang.Text{ES: "No salió: la conversación ya había cambiado.", EN: "Not sent: the conversation had moved on."}},
	{Expired, lang.Text{ES: "No salió a tiempo: contestar tarde no servía.", EN: "Not sent in time: a late answer would not have helped."}},
	{WindowClosed, lang.Text{ES: "No salió: la ventana de WhatsApp está cerrada y hace falta una plantilla.", EN: "Not sent: the service window is closed and a template is needed."}},
	{Refused, lang.Text{ES: "El proveedor lo rechazó.", EN: "The provider refused it."}},
	{UncertainFor, lang.Text{ES: "No se sabe si salió: no se repite a ciegas.", EN: "It is not known whether it was sent: it is not repeated blindly."}},

	{ByAgent, lang.Text{ES: "Escribió una persona de nuestro lado: la conversación es suya.", EN: "Somebody on our side wrote: the conversation is theirs."}},
	{ByAPI, lang.Text{ES: "Lo pidió un programa por la API.", EN: "A program asked for it through the API."}},
	{Closed, lang.Text{ES: "Se cerró la conversación.", EN: "The conversation was closed."}},
	{Reopened, lang.Text{ES: "Se reabrió: el próximo mensaje recibe el menú.", EN: "Reopened: the next message gets the menu."}},
	{Disconnect, lang.Text{ES: "Se desconectó del router.", EN: "Disconnected from the router."}},
	{Reconnect, lang.Text{ES: "Se reconectó: el próximo mensaje recibe el menú.", EN: "Reconnected: the next message gets the menu."}},
	{ResetByHand, lang.Text{ES: "Se reinició: el próximo mensaje recibe el menú.", EN: "Reset: the next message gets the menu."}},
	{AfterOutage, lang.Text{ES: "Había quedado sin respuesta por un problema nuestro: se le pidieron disculpas.", EN: "Had been left without an answer through a fault of ours: an apology was sent."}},
	{NoEffect, lang.Text{ES: "No cambió nada: ya estaba así o no correspondía.", EN: "Nothing changed: it was already so, or did not apply."}},
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
func (r Reason) Text(language string) string {
	for _, s := range sentences {
		if s.reason == r {
			return s.text.In(language)
		}
	}
	return string(r)
}
