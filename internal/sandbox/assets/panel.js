// The router's decisions, as its API gives them.
import { Desk, unique } from "./desk.js";
import { $, clock, h, icon, ticks, toast } from "./dom.js";

const states = {
  menu: ["En el menú", "El bot contesta."],
  handed_off: ["Con una persona", "El bot calla: contesta el equipo."],
  closed: ["Cerrada", "El próximo mensaje vuelve al menú."],
  disconnected: ["Desconectada", "El bot calla hasta que lo reconecten."],
};
const kinds = { interactive: "tocó", image: "mandó una foto", audio: "mandó un audio", document: "mandó un archivo", sticker: "mandó un sticker", video: "mandó un video", location: "mandó su ubicación", contacts: "mandó un contacto", reaction: "reaccionó", unsupported: "mandó algo que la API no entrega", system: "cambió de número" };
const refused = { superseded: "ya no venía al caso", expired: "se venció la espera", window_closed: "la ventana de 24 h está cerrada", refused: "WhatsApp lo rechazó", uncertain: "no se sabe si salió" };
const fates = { sent: "enviado", delivered: "entregado", read: "leído", failed: "falló" };
const page = 200;

export class Panel {
  constructor(config, { hover, phone }) {
    this.config = config;
    this.hover = hover;
    this.phone = phone;
    this.key = "";
    this.desk = new Desk({ ask: (path, options) => this.ask(path, options), changed: () => this.refresh(0) });
  }

  /** refresh asks the API, soon: many reasons to ask become one question. */
  refresh(wait = 120) {
    if (!this.config.api) return this.without();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), wait);
  }

  show() {
    this.conversation = null;
    this.pages = [];
    this.key = "";
    this.drawn = "";
    $("why").replaceChildren();
    this.drawStatus();
    this.refresh(0);
  }

  async ask(path, options = {}) {
    const answer = await fetch(this.config.api + path, { ...options, headers: { Authorization: "Bearer " + this.config.key, Accept: "application/json", ...options.headers } });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error(body.detail || body.title || "HTTP " + answer.status), { status: answer.status, code: body.code });
    return body;
  }

  async load() {
    if (document.hidden || this.loading) return void (this.again = true);
    this.loading = true;
    const person = this.phone();
    if (!person.id) return void (this.loading = false);
    try {
      const who = person.phone ? "phone=" + encodeURIComponent(person.phone) : "user_id=" + encodeURIComponent(person.user_id);
      const found = await this.ask("/conversations?limit=1&" + who);
      const conversation = found.items?.[0] || null;
      await this.sentences();
      const messages = conversation ? await this.messages(conversation.id) : [];
      if (person !== this.phone() && person.id !== this.phone().id) return;
      this.conversation = conversation;
      this.drawStatus();
      if (conversation) this.drawWhy(messages);
      this.failed = 0;
    } catch (e) {
      this.failed = (this.failed || 0) + 1;
      this.drawStatus(e);
      if (this.failed < 4) this.refresh(1000 * this.failed);
    } finally {
      this.loading = false;
      if (this.again) {
        this.again = false;
        this.refresh();
      }
    }
  }

  // Full pages change only in their ticks: only the last two are read again.
  async messages(id) {
    if (this.pagesOf !== id) (this.pagesOf = id), (this.pages = []);
    let at = Math.max(0, this.pages.length - 2);
    for (; at < 50; at++) {
      const cursor = at ? this.pages[at - 1].next : "";
      const answer = await this.ask(`/conversations/${encodeURIComponent(id)}/messages?limit=${page}${cursor ? "&cursor=" + encodeURIComponent(cursor) : ""}`);
      this.pages[at] = { items: answer.items || [], next: answer.next_cursor };
      if (!answer.next_cursor) break;
    }
    this.pages.length = at + 1;
    return this.pages.flatMap((p) => p.items).slice(-page);
  }

  without() {
    $("status").replaceChildren(h("p", { class: "empty" }, "Este teléfono corre solo, sin la API de un router. Las decisiones se ven del otro lado: ", h("code", null, "psi-router why NÚMERO"), "."));
  }

  drawStatus(error) {
    const c = this.conversation;
    const person = this.phone();
    const name = h("p", { class: "eyebrow" }, person.name, person.phone ? " · +" + person.phone : " · " + person.user_id);
    const key = JSON.stringify([person.id, c?.state, c?.area, c?.tag, c?.ticket, c?.menu, left(c?.window_expires_at), error?.message]);
    this.desk.show(error ? null : c || null);
    if (key === this.drawn) return; // whoever stands on a button stays there
    this.drawn = key;
    if (error) {
      $("status").replaceChildren(name, h("p", { class: "empty bad" }, error.status === 401 || error.status === 403 ? "La API no acepta esta clave." : "El router no contesta. Sigo probando."));
      return;
    }
    if (!c) {
      $("status").replaceChildren(name, h("div", { class: "state s-closed" }, h("h2", null, h("i", { "aria-hidden": "true" }), "Todavía no escribió"), h("p", null, "Acá se ve, en vivo, qué decide el router y por qué.")));
      this.key = "";
      $("why").replaceChildren(...[
        ["Escribí «hola» en el teléfono", "El router contesta con el menú."],
        ["Elegí una opción de la lista", "O mandá su número: 1, y después 11. Pasás con una persona y te toca un ticket."],
        ["Cerrá la conversación acá arriba y escribí otra vez", "Vuelve el menú: así se prueba de nuevo."],
      ].map(([what, then]) => h("li", { class: "step" }, h("b", null, what), h("span", null, then))));
      return;
    }
    const [title, note] = states[c.state] || [c.state, ""];
    const facts = [];
    const fact = (label, value, mono) => value && facts.push(h("div", null, h("dt", null, label), h("dd", { class: mono ? "mono" : "" }, value)));
    fact("Área", c.area && (c.tag ? `${c.area} · ${c.tag}` : c.area));
    fact("Ticket", c.ticket, true);
    fact("Menú", c.state === "menu" && c.menu);
    fact("Ventana", left(c.window_expires_at));
    fact("Línea", c.line);
    $("status").replaceChildren(
      name,
      h("div", { class: "state s-" + c.state }, h("h2", null, h("i", { "aria-hidden": "true" }), title), h("p", null, note)),
      h("dl", null, ...facts),
      h("div", { class: "commands" },
        h("button", { type: "button", id: "close", class: "plain", disabled: c.state === "closed", onclick: () => this.command("close", "Conversación cerrada. Escribí de nuevo y vuelve el menú.") }, "Cerrar"),
        h("button", { type: "button", id: "reset", class: "plain", onclick: () => this.command("reset", "Listo: el próximo mensaje empieza de cero.") }, "Reiniciar")),
    );
  }

  async command(name, done) {
    const focus = document.activeElement?.id;
    try {
      await this.ask(`/conversations/${encodeURIComponent(this.conversation.id)}/${name}`, { method: "POST", headers: { "Content-Type": "application/json", "Idempotency-Key": unique() }, body: JSON.stringify({ reason: "teléfono de prueba" }) });
      toast(done);
    } catch (e) {
      toast("No se pudo: " + e.message);
    }
    await this.load();
    if (focus) ($(focus)?.disabled ? $("text") : $(focus))?.focus();
  }

  // The sentences come from the API too: no list of reasons here.
  async sentences() {
    if (this.reasons) return;
    const list = await this.ask("/reasons").catch(() => ({ items: [] }));
    this.reasons = new Map(list.items?.map((r) => [r.reason, r.es]));
  }

  reason(code) {
    return this.reasons?.get(code) || code;
  }

  drawWhy(messages) {
    const key = JSON.stringify(messages.map((m) => [m.id, m.status, m.reason, m.error?.code, m.reactions?.length]));
    if (key === this.key) return;
    this.key = key;
    const list = $("why");
    const pane = list.parentElement;
    const end = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 80;
    const seen = new Set([...list.children].map((n) => n.dataset.id));
    const first = seen.size === 0 || seen.has(undefined);
    const steps = [];
    for (const m of messages) {
      if (m.direction === "inbound") steps.push({ in: m, out: [] });
      else if (steps.length && m.author === "router") steps.at(-1).out.push(m);
      else steps.push({ out: [m] });
    }
    list.replaceChildren(...steps.map((s) => {
      const node = this.step(s);
      if (!first && !seen.has(node.dataset.id)) node.classList.add("new");
      return node;
    }));
    if (!first && messages.at(-1)?.direction === "inbound") $("spoken").textContent = this.reason(messages.at(-1).reason);
    if (end || first) pane.scrollTo({ top: pane.scrollHeight });
  }

  step({ in: m, out }) {
    if (!m) {
      const who = { agent: "Una persona del equipo", phone: "Alguien desde el celular", system: "El sistema" }[out[0].author] || "El router";
      return h("li", { class: "by-" + out[0].author, "data-id": out[0].id }, h("header", null, h("time", null, at(out[0])), h("span", null, who + " escribió")), ...out.map((o) => this.reply(o)));
    }
    const what = m.text ? `«${m.text.length > 90 ? m.text.slice(0, 90) + "…" : m.text}»` : "";
    const node = h("li", { class: "r-" + m.reason, "data-id": m.id, tabindex: "-1" },
      h("header", null, h("time", null, at(m)), h("span", null, (kinds[m.type] || "") + (what ? " " + what : ""))),
      h("p", { class: "reason" }, this.reason(m.reason)),
      h("p", { class: "code" }, h("code", null, m.reason || m.status), m.reply_id && h("code", { title: "Id de la opción tocada" }, m.reply_id), m.media && h("code", null, "archivo: " + (m.media.state || m.media.mime))),
      ...out.map((o) => this.reply(o)));
    node.addEventListener("mouseenter", () => this.hover(m.provider_id, true));
    node.addEventListener("mouseleave", () => this.hover(m.provider_id, false));
    node.dataset.wamid = m.provider_id || "";
    return node;
  }

  reply(o) {
    const why = o.reason && refused[o.reason];
    const bad = o.status === "failed" || o.status === "uncertain";
    return h("div", { class: "reply" + (bad ? " bad" : ""), "data-status": o.status },
      ticks(o.status),
      h("span", { class: "said" }, (o.text || o.type).replace(/[*_~`]/g, "")),
      bad && h("small", null, [why, o.error?.code && "código " + o.error.code, o.error?.detail].filter(Boolean).join(" · ")));
  }

  lit(wamid, on) {
    for (const li of $("why").children) if (li.dataset.wamid === wamid) li.classList.toggle("lit", on);
  }
}

const at = (m) => clock(new Date(m.received_at || m.sent_at || m.created_at).getTime());

function left(until) {
  if (!until) return "";
  const minutes = Math.round((new Date(until) - Date.now()) / 6e4);
  if (minutes <= 0) return "cerrada";
  return minutes >= 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes} min`;
}

/** webhooks draws the newest posts to the router. */
export function drawWebhooks(pane, items, handshake) {
  const rows = items.slice().reverse().map((w) => {
    const good = w.code === 200;
    const what = w.what === "message" ? "mensaje" : w.count === 1 ? "estado: " + (fates[w.ticks?.[0]] || w.ticks?.[0] || "") : `${w.count} estados`;
    return h("details", { class: good ? "hook" : "hook bad" },
      h("summary", null, h("time", null, clock(w.at)), h("b", null, w.code || "sin respuesta"), h("span", null, what), h("small", null, `${w.took_ms.toFixed(1)} ms${w.try > 1 ? ` · intento ${w.try}` : ""}`)),
      w.error && h("p", { class: "problem" }, w.error),
      w.body ? h("pre", { tabindex: "0" }, JSON.stringify(w.body, null, 2)) : h("p", null, "Demasiado grande para mostrarlo acá."));
  });
  pane.replaceChildren(
    h("div", { class: "lead" }, h("p", null, "Cada cosa que pasa en el teléfono sale como un POST firmado. Si la respuesta no es 200, se repite con espera creciente."), h("button", { type: "button", class: "plain", onclick: handshake }, "Probar el saludo inicial")),
    ...(rows.length ? rows : [h("p", { class: "empty" }, "Todavía no salió ninguno.")]));
}

/** faults explains how to make things go wrong. */
export function drawFaults(pane, faults, use) {
  if (!faults.length) return pane.replaceChildren(h("p", { class: "empty" }, "En este teléfono no hay fallas a pedido."));
  pane.replaceChildren(
    h("div", { class: "lead" }, h("p", null, "Escribí ", h("code", null, "falla 131056"), " en el chat y el próximo envío a este teléfono falla así (con ", h("code", null, "x3"), ", los próximos tres). Un teléfono cuyo número termina en el código falla siempre.")),
    h("ul", { class: "faults" }, ...faults.map((f) => h("li", null,
      h("div", null, h("b", null, "falla " + f.word), h("span", null, f.what), h("small", null, "…" + f.suffix)),
      h("button", { type: "button", class: "plain", onclick: () => use("falla " + f.word), "aria-label": "Escribir falla " + f.word }, "Escribir")))));
}
