// The chat of the phone on display: bubbles, sheet, composer.
import { $, clock, day, h, icon, ticks, toast } from "./dom.js";
import { format } from "./format.js";

const emojis = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

/** Chat draws messages into the log and calls act(input) for what the person does. */
export class Chat {
  constructor({ act, hover }) {
    this.act = act;
    this.hover = hover;
    this.messages = new Map();
    this.nodes = new Map();
    this.quoting = null;
    this.used = new Set(); // lists and buttons already answered
    this.log = $("log");
    // The log stays scrolled to its end, also while pictures load, until the person scrolls
    // up.
    this.stick = true;
    for (const e of ["wheel", "touchmove", "keydown"]) this.log.addEventListener(e, () => (this.byHand = true), { passive: true });
    this.log.addEventListener("scroll", () => {
      if (this.byHand) this.stick = this.atEnd();
      $("down").hidden = this.stick || this.atEnd();
    });
    this.log.addEventListener("load", () => this.stick && this.toEnd(), true);
    $("down").addEventListener("click", () => this.toEnd(true));
    $("quoteOff").addEventListener("click", () => this.quote(null));
    $("sheetClose").addEventListener("click", () => this.closeSheet());
    $("sheetBack").addEventListener("click", () => this.closeSheet());
    $("sheet").addEventListener("keydown", (e) => this.sheetKeys(e));
  }

  atEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 60;
  }

  toEnd(smooth) {
    this.stick = true;
    this.byHand = false;
    $("down").hidden = true;
    this.log.scrollTo({ top: this.log.scrollHeight, behavior: smooth && !matchMedia("(prefers-reduced-motion: reduce)").matches ? "smooth" : "instant" });
  }

  /** reset shows another phone. */
  reset(phone, messages) {
    this.phone = phone;
    this.messages.clear();
    this.nodes.clear();
    this.used.clear();
    this.quote(null);
    this.closeSheet();
    this.log.replaceChildren(this.note());
    this.lastDay = "";
    for (const m of messages) this.put(m, true);
    this.typing(phone.typing_until);
    this.toEnd();
  }

  note() {
    const hello = h("button", { type: "button", class: "hint", onclick: () => this.act({ type: "text", text: "hola" }) }, "Escribir «hola»");
    return h("div", { class: "note" },
      h("p", null, "🔒 Es un WhatsApp de mentira: nada sale de esta computadora. Lo que escribas pasa por el webhook firmado, igual que el de verdad."),
      hello);
  }

  /** put adds a message, or draws it again. */
  put(m, quiet) {
    const known = this.nodes.get(m.id);
    this.messages.set(m.id, m);
    if (m.from === "person" && m.quoted && (m.type === "interactive" || m.type === "button")) this.used.add(m.quoted);
    const node = m.type === "system" ? this.system(m) : this.bubble(m);
    if (known) {
      known.replaceWith(node);
    } else {
      const d = day(m.at);
      if (d !== this.lastDay) {
        this.lastDay = d;
        this.log.append(h("div", { class: "day" }, h("span", null, d)));
      }
      const before = this.log.querySelector(".b:last-of-type");
      if (!before || !this.log.lastElementChild.classList.contains(m.from)) node.classList.add("first");
      if (!quiet) node.classList.add("new");
      this.log.append(node);
    }
    if (known?.classList.contains("first")) node.classList.add("first");
    this.nodes.set(m.id, node);
    if (this.typingNode && !known) this.log.append(this.typingNode);
    if (!quiet && (this.stick || (!known && m.from === "person"))) this.toEnd(true);
    if (m.quoted && this.used.has(m.quoted)) this.nodes.get(m.quoted)?.classList.add("answered");
  }

  tick(ids, tick) {
    const order = ["", "sent", "delivered", "read", "failed"];
    for (const id of ids || []) {
      const m = this.messages.get(id);
      if (!m || order.indexOf(tick) <= order.indexOf(m.tick || "")) continue;
      m.tick = tick;
      if (m.from !== "person") continue;
      const node = this.nodes.get(id);
      node?.querySelector(".ticks")?.replaceWith(ticks(tick));
      node?.setAttribute("aria-label", this.spoken(m));
    }
  }

  typing(until) {
    clearTimeout(this.typingTimer);
    const left = (until || 0) - Date.now();
    this.typingNode?.remove();
    this.typingNode = null;
    const on = left > 0;
    $("presence").textContent = on ? "escribiendo…" : "en línea";
    $("presence").classList.toggle("typing", on);
    if (!on) return;
    this.typingNode = h("div", { class: "b business first dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
    this.log.append(this.typingNode);
    if (this.stick) this.toEnd(true);
    this.typingTimer = setTimeout(() => this.typing(0), Math.min(left, 25000));
  }

  spoken(m) {
    const who = m.from === "person" ? "Vos" : $("business").textContent;
    const state = { sent: "enviado", delivered: "entregado", read: "leído" }[m.tick];
    return `${who}, ${clock(m.at)}${m.from === "person" && state ? ", " + state : ""}: ${summary(m)}`;
  }

  system(m) {
    return h("div", { class: "system", "data-id": m.id }, h("span", null, m.body?.body || "Cambio en la cuenta"));
  }

  bubble(m) {
    const mine = m.from === "person";
    const box = h("article", { class: `b ${m.from} k-${m.type}`, "data-id": m.id, "aria-label": this.spoken(m) });
    if (m.quoted && m.type !== "reaction") {
      const q = this.messages.get(m.quoted);
      if (q) {
        box.append(h("button", { type: "button", class: "quote " + q.from, "aria-label": "Ir al mensaje respondido", onclick: () => this.flash(q.id, true) },
          h("b", null, q.from === "person" ? "Vos" : $("business").textContent), h("span", null, summary(q))));
      }
    }
    box.append(...this.content(m));
    const meta = h("span", { class: "meta" }, h("time", { datetime: new Date(m.at).toISOString() }, clock(m.at)), mine && ticks(m.tick || "queued"));
    box.append(meta);
    const given = Object.values(m.reactions || {}).filter(Boolean);
    if (given.length) box.append(h("span", { class: "given", "aria-label": "Reacción: " + given.join(" ") }, ...new Set(given)));
    box.append(h("button", { type: "button", class: "icon opts", "aria-label": "Opciones del mensaje", "aria-haspopup": "menu", onclick: (e) => this.options(m, e.currentTarget) }, icon("more")));
    const foot = this.foot(m);
    if (foot) box.append(foot), box.classList.add("with-foot");
    if (this.used.has(m.id)) box.classList.add("answered");
    box.addEventListener("click", (e) => e.target.closest("a, button") || box.classList.toggle("tapped")); // without a mouse
    box.addEventListener("mouseenter", () => this.hover(m.id, true));
    box.addEventListener("mouseleave", () => this.hover(m.id, false));
    return box;
  }

  content(m) {
    const b = m.body || {};
    const text = (s, cls = "text") => h("div", { class: cls, dir: "auto" }, ...format(s || ""));
    switch (m.type) {
      case "text":
        return [text(b.body)];
      case "interactive": {
        const reply = b.list_reply || b.button_reply;
        if (reply) return [text(reply.title), reply.description && text(reply.description, "detail")].filter(Boolean);
        return [
          b.header?.text && h("div", { class: "head" }, b.header.text),
          text(b.body?.text),
          b.footer?.text && h("div", { class: "footer" }, b.footer.text),
        ].filter(Boolean);
      }
      case "button":
        return [text(b.text)];
      case "template": {
        const params = (b.components || []).filter((c) => c.type === "body").flatMap((c) => c.parameters || []).map((p) => p.text).filter(Boolean);
        return [h("div", { class: "head" }, "Plantilla «" + b.name + "»"), text(params.join(" · ") || "(sin parámetros)")];
      }
      case "image":
        return [h("a", { class: "photo", href: src(b), target: "_blank", rel: "noreferrer" }, h("img", { src: src(b), alt: b.caption || "Foto", loading: "lazy" })), b.caption && text(b.caption)].filter(Boolean);
      case "sticker":
        return [h("img", { class: "sticker", src: src(b), alt: "Sticker" })];
      case "video":
        return [h("video", { src: src(b), controls: true, preload: "metadata" }), b.caption && text(b.caption)].filter(Boolean);
      case "audio":
        return [voice(src(b))];
      case "document":
        return [h("a", { class: "doc", href: src(b), download: b.filename || "archivo" }, icon("file"), h("span", null, b.filename || "Documento"), h("small", null, (b.mime_type || "").split("/").pop().toUpperCase())), b.caption && text(b.caption)].filter(Boolean);
      case "location":
        return [h("div", { class: "place" }, icon("place"), h("span", null, b.name || "Ubicación"), h("small", null, b.address || `${b.latitude}, ${b.longitude}`))];
      case "contacts":
        return (Array.isArray(b) ? b : []).map((c) => h("div", { class: "place" }, icon("person"), h("span", null, c.name?.formatted_name || "Mi número"), h("small", null, (c.phones || []).map((p) => p.phone).join(", "))));
      case "unsupported":
        return [text("📊 Encuesta", "text"), text("La API no entrega este tipo de mensaje.", "detail")];
      default:
        return [text("Mensaje de tipo «" + m.type + "»", "detail")];
    }
  }

  /** foot is what can be tapped under a bubble. */
  foot(m) {
    if (m.from !== "business") return null;
    const b = m.body || {};
    const button = (label, name, onclick, props) => h("button", { type: "button", onclick, ...props }, name && icon(name), h("span", null, label));
    const tap = (reply) => () => this.act({ type: "reply", quoted: m.id, reply });
    if (m.type === "template") {
      const quick = (b.components || []).filter((c) => c.sub_type === "quick_reply");
      return quick.length ? h("div", { class: "foot" }, ...quick.map((c) => button(c.parameters?.[0]?.payload, "reply", tap(c.parameters?.[0]?.payload)))) : null;
    }
    if (m.type !== "interactive") return null;
    const a = b.action || {};
    switch (b.type) {
      case "list":
        return h("div", { class: "foot" }, button(a.button, "list", (e) => this.openSheet(m, e.currentTarget), { "aria-haspopup": "dialog" }));
      case "button":
        return h("div", { class: "foot" }, ...(a.buttons || []).map((o) => button(o.reply.title, "reply", tap(o.reply.id), { "data-reply": o.reply.id })));
      case "cta_url":
        return h("div", { class: "foot" }, h("a", { href: /^https?:/.test(a.parameters?.url) ? a.parameters.url : "#", target: "_blank", rel: "noreferrer noopener" }, icon("link"), h("span", null, a.parameters?.display_text)));
      case "location_request_message":
        return h("div", { class: "foot" }, button("Enviar ubicación", "place", () => this.act({ type: "location", quoted: m.id })));
      case "request_contact_info":
        return h("div", { class: "foot" }, button("Compartir mi número", "person", () => this.act({ type: "contact", quoted: m.id })));
    }
    return null;
  }

  openSheet(m, from) {
    const a = m.body.action;
    $("sheetTitle").textContent = a.button;
    const rows = [];
    for (const s of a.sections || []) {
      const list = (s.rows || []).map((r) => h("button", { type: "button", class: "option", "data-reply": r.id, onclick: (e) => this.pick(m, r, e.currentTarget) },
        h("span", null, h("b", null, r.title), r.description && h("small", null, r.description)), h("i", { "aria-hidden": "true" })));
      rows.push(h("div", { role: "group", "aria-label": s.title || a.button }, s.title && h("h4", null, s.title), ...list));
    }
    $("rows").replaceChildren(...rows);
    this.sheetFrom = from;
    $("screen").inert = true;
    $("sheetBack").hidden = $("sheet").hidden = false;
    requestAnimationFrame(() => $("phone").classList.add("sheet-open"));
    $("rows").querySelector("button")?.focus();
  }

  pick(m, row, node) {
    node.classList.add("on");
    this.closeSheet();
    this.act({ type: "reply", quoted: m.id, reply: row.id });
  }

  closeSheet() {
    if ($("sheet").hidden) return;
    $("phone").classList.remove("sheet-open");
    $("screen").inert = false;
    $("sheetBack").hidden = $("sheet").hidden = true;
    this.sheetFrom?.focus();
  }

  sheetKeys(e) {
    const all = [...$("sheet").querySelectorAll("button")];
    const i = all.indexOf(document.activeElement);
    const go = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 1, End: all.length - 1 }[e.key];
    if (e.key === "Escape") this.closeSheet();
    else if (go != null) all[(go + all.length) % all.length].focus();
    else if (e.key === "Tab" && e.shiftKey && i === 0) all.at(-1).focus();
    else if (e.key === "Tab" && !e.shiftKey && i === all.length - 1) all[0].focus();
    else return;
    e.preventDefault();
  }

  options(m, from) {
    const mine = m.reactions?.person;
    popup(from, [
      h("div", { class: "emojis" }, ...emojis.map((e) => h("button", { type: "button", role: "menuitem", class: mine === e ? "on" : "", "aria-label": (mine === e ? "Sacar " : "Reaccionar ") + e, onclick: () => this.act({ type: "reaction", quoted: m.id, emoji: mine === e ? "" : e }) }, e))),
      h("button", { type: "button", role: "menuitem", onclick: () => this.quote(m) }, icon("reply"), "Responder"),
      h("button", { type: "button", role: "menuitem", onclick: () => copy(m.id) }, icon("twice"), "Copiar el id (wamid)"),
    ]);
  }

  quote(m) {
    this.quoting = m;
    $("quoteBar").hidden = !m;
    if (!m) return;
    $("quoteWho").textContent = m.from === "person" ? "Vos" : $("business").textContent;
    $("quoteText").textContent = summary(m);
    $("text").focus();
  }

  /** flash points at a bubble; go scrolls to it. */
  flash(id, go, on = true) {
    const node = this.nodes.get(id);
    if (!node) return false;
    if (go) {
      node.scrollIntoView({ block: "center", behavior: "smooth" });
      node.classList.add("flash");
      setTimeout(() => node.classList.remove("flash"), 1200);
    } else node.classList.toggle("lit", on);
    return true;
  }
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copiado");
  } catch {
    toast(text);
  }
}

function src(media) {
  return media.link || "/sandbox/files/" + encodeURIComponent(media.id || "");
}

/** voice is a player that looks like WhatsApp's. */
function voice(url) {
  const audio = new Audio();
  audio.preload = "none";
  audio.src = url;
  const bars = h("span", { class: "wave", "aria-hidden": "true" }, ...Array.from({ length: 30 }, (_, i) => h("i", { class: "w" + ((i * 7 + (i % 5) * 3 + 4) % 9) })));
  const time = h("small", null, "0:00");
  const button = h("button", { type: "button", class: "icon", "aria-label": "Escuchar" }, icon("play"));
  const draw = () => {
    button.replaceChildren(icon(audio.paused ? "play" : "pause"));
    button.setAttribute("aria-label", audio.paused ? "Escuchar" : "Pausar");
    const part = audio.duration ? audio.currentTime / audio.duration : 0;
    [...bars.children].forEach((b, i) => b.classList.toggle("on", i / 30 < part));
    time.textContent = "0:" + String(Math.floor(audio.currentTime)).padStart(2, "0");
  };
  button.addEventListener("click", () => (audio.paused ? audio.play().catch(() => toast("No se pudo reproducir")) : audio.pause()));
  for (const e of ["play", "pause", "timeupdate", "ended"]) audio.addEventListener(e, draw);
  return h("div", { class: "voice" }, button, bars, time);
}

/** summary says a message in one line. */
export function summary(m) {
  const b = m.body || {};
  const words = {
    text: () => b.body,
    interactive: () => b.list_reply?.title || b.button_reply?.title || b.body?.text,
    button: () => b.text,
    template: () => "Plantilla «" + b.name + "»",
    image: () => "📷 " + (b.caption || "Foto"),
    video: () => "🎥 " + (b.caption || "Video"),
    audio: () => "🎤 Nota de voz",
    document: () => "📄 " + (b.filename || "Documento"),
    sticker: () => "Sticker",
    location: () => "📍 " + (b.name || "Ubicación"),
    contacts: () => "👤 Contacto",
    unsupported: () => "📊 Encuesta",
    system: () => b.body,
  };
  return (words[m.type]?.() || "Mensaje").replace(/[*_~`]/g, "").replace(/\s+/g, " ");
}

/** popup opens a small menu at a button; it closes by itself. */
export function popup(from, items, menu) {
  document.querySelector(".menu.floating")?.remove();
  const box = menu || h("div", { class: "menu floating", role: "menu" });
  box.replaceChildren(...items);
  if (!menu) from.closest(".b").append(box);
  box.hidden = false;
  from.setAttribute("aria-expanded", "true");
  const close = (focus) => {
    box.hidden = true;
    if (!menu) box.remove();
    from.setAttribute("aria-expanded", "false");
    removeEventListener("pointerdown", outside, true);
    if (focus) from.focus();
  };
  const outside = (e) => !box.contains(e.target) && !from.contains(e.target) && close();
  addEventListener("pointerdown", outside, true);
  box.onclick = (e) => e.target.closest("button") && close();
  box.onkeydown = (e) => {
    const all = [...box.querySelectorAll("button")];
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[e.key];
    if (e.key === "Escape" || e.key === "Tab") close(e.key === "Escape");
    else if (step) all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
    else return;
    if (e.key !== "Tab") e.preventDefault();
  };
  box.querySelector("button")?.focus();
  if (!menu) box.scrollIntoView({ block: "nearest" });
}
