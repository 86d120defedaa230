// Wiring of the page: people, events, composer, views.
import { $, h, icon, toast } from "./dom.js";
import { Chat, popup, summary } from "./chat.js";
import { Panel, drawFaults, drawWebhooks } from "./panel.js";

const config = JSON.parse($("config").textContent);
const phones = new Map();
const hooks = [];
let current = null;

const chat = new Chat({ act, hover: (id, on) => panel.lit(id, on) });
const panel = new Panel(config, { hover: (id, on) => chat.flash(id, false, on), phone: () => phones.get(current) || {} });

async function call(path, options = {}) {
  const answer = await fetch("/sandbox" + path, options);
  const body = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body?.error || "No se pudo (" + answer.status + ").");
  return body;
}

const post = (path, body) => call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body || {}) });

// act sends every action of the person.
async function act(input) {
  try {
    await post(`/phones/${encodeURIComponent(current)}/messages`, input);
  } catch (e) {
    toast(e.message);
    return false;
  }
  return true;
}

// ---- people

function drawPeople() {
  const items = [...phones.values()].map((p, i) => h("li", null, h("button", {
    type: "button", class: "who-pick", "aria-pressed": String(p.id === current), title: p.note || (p.last ? summary(p.last) : null), onclick: () => choose(p.id), "data-id": p.id,
  }, h("span", { class: "face f" + (i % 5), "aria-hidden": "true" }, initials(p.name)), h("span", { class: "name" }, p.name, h("small", null, p.name === "+" + p.phone ? "sin nombre" : p.phone ? "+" + p.phone : "sin número")),
  p.unread && p.id !== current ? h("b", { class: "badge", "aria-label": p.unread + " sin leer" }, String(p.unread)) : null)));
  items.push(h("li", null, h("button", { type: "button", class: "who-pick add", onclick: () => $("newPhone").showModal(), "aria-label": "Otro teléfono" }, icon("plus"), h("span", { class: "name" }, "Otro"))));
  const focused = document.activeElement?.dataset?.id;
  $("people").replaceChildren(...items);
  if (focused) $("people").querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
}

const initials = (name) => (/^\+?\d|\./.test(name) ? "#" : name.split(/\s+/).slice(0, 2).map((w) => w[0]).join("").toUpperCase());

async function choose(id) {
  current = id;
  sessionStorage.setItem("phone", id);
  drawPeople();
  await loadPhone();
  panel.show();
}

async function loadPhone() {
  const id = current;
  const { phone, messages } = await call("/phones/" + encodeURIComponent(id));
  if (id !== current) return;
  phones.set(id, phone);
  chat.reset(phone, messages);
  look();
}

// look tells WhatsApp that the person saw the chat, which makes it "read".
let looking;
function look() {
  clearTimeout(looking);
  if (document.hidden || !current) return;
  looking = setTimeout(() => post(`/phones/${encodeURIComponent(current)}/seen`).catch(() => {}), 250);
}

// ---- events

function listen() {
  const events = new EventSource("/sandbox/events");
  const on = (name, f) => events.addEventListener(name, (e) => f(JSON.parse(e.data)));
  on("hello", start);
  on("message", ({ phone, message }) => {
    note(phone);
    if (phone.id !== current) return;
    if (message.from === "business") chat.typing(0);
    chat.put(message);
    if (message.from === "business") look();
    panel.refresh();
  });
  on("tick", ({ phone, ids, tick }) => {
    note(phone);
    if (phone.id !== current) return;
    chat.tick(ids, tick);
    chat.typing(phone.typing_until);
    panel.refresh();
  });
  on("phone", ({ phone }) => note(phone));
  on("cleared", ({ phone }) => {
    note(phone);
    if (phone.id === current) chat.reset(phone, []);
  });
  on("webhook", (w) => {
    hooks.push(w);
    if (hooks.length > 40) hooks.shift();
    if (!$("pane-hooks").hidden) showHooks();
    panel.refresh(250);
    clearTimeout(listen.later); // the turn itself takes a moment after the 200
    listen.later = setTimeout(() => panel.refresh(0), 900);
  });
  events.onerror = () => $("presence").textContent = "conectando…";
}

function note(phone) {
  phones.set(phone.id, phone);
  drawPeople();
}

async function start() {
  const { items } = await call("/phones");
  phones.clear();
  for (const p of items) phones.set(p.id, p);
  const wanted = current || new URLSearchParams(location.search).get("phone") || sessionStorage.getItem("phone");
  const known = [...phones.values()].find((p) => p.id === wanted || p.phone === wanted);
  await choose(known ? known.id : items[0]?.id);
  const log = await call("/webhooks");
  hooks.splice(0, hooks.length, ...log.items);
  if (!$("pane-hooks").hidden) showHooks();
}

// ---- composer

const text = $("text");
function fit() {
  text.style.height = "auto";
  text.style.height = Math.min(text.scrollHeight, 132) + "px";
  const empty = !text.value.trim();
  const want = empty ? "mic" : "send";
  if ($("send").dataset.icon === want) return;
  $("send").dataset.icon = want;
  $("send").replaceChildren(icon(want));
  $("send").setAttribute("aria-label", empty ? "Mandar nota de voz de ejemplo" : "Enviar");
}
text.addEventListener("input", fit);
// Enter sends, Shift+Enter breaks the line. A phone's keyboard may report Enter as a line
// break and not as a key.
let shift = false;
text.addEventListener("keydown", (e) => {
  shift = e.shiftKey;
  if (e.key === "Escape") chat.quote(null);
  if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
  e.preventDefault();
  submit();
});
text.addEventListener("beforeinput", (e) => {
  if (e.inputType !== "insertLineBreak" || shift || e.isComposing) return;
  e.preventDefault();
  submit();
});
const submit = () => text.value.trim() && $("composer").requestSubmit();
$("composer").addEventListener("submit", async (e) => {
  e.preventDefault();
  const value = text.value.trim();
  const quoted = chat.quoting?.id || "";
  text.value = "";
  chat.quote(null);
  fit();
  const done = await act(value ? { type: "text", text: value, quoted } : { type: "media", sample: "audio", quoted });
  if (!done && value) (text.value = value), fit();
});

const attachments = [
  ["photo", "Foto de ejemplo", () => act({ type: "media", sample: "image", text: "comprobante" })],
  ["mic", "Nota de voz de ejemplo", () => act({ type: "media", sample: "audio" })],
  ["file", "Documento de ejemplo", () => act({ type: "media", sample: "document" })],
  ["sticker", "Sticker", () => act({ type: "media", sample: "sticker" })],
  ["plus", "Archivo propio…", () => $("file").click()],
  ["place", "Ubicación", () => act({ type: "location" })],
  ["person", "Contacto", () => act({ type: "contact" })],
  null,
  ["poll", "Encuesta (la API no la entrega)", () => act({ type: "poll" })],
  ["clock", "Un «hola» de hace 3 horas", () => act({ type: "text", text: "hola", age_seconds: 10800 })],
  ["twice", "Un «hola» que llega dos veces", () => act({ type: "text", text: "hola", repeat: true })],
  ["swap", "Cambiar de número", () => act({ type: "number" }).then((ok) => ok && panel.show())],
];
$("attach").addEventListener("click", () => popup($("attach"), attachments.map((a) => (a ? h("button", { type: "button", role: "menuitem", onclick: a[2] }, icon(a[0]), a[1]) : h("hr"))), $("attachMenu")));
$("file").addEventListener("change", async () => {
  const [file] = $("file").files;
  if (!file) return;
  const form = new FormData();
  form.append("file", file, file.name);
  form.append("caption", text.value.trim());
  $("file").value = "";
  try {
    await call(`/phones/${encodeURIComponent(current)}/files`, { method: "POST", body: form });
    text.value = "";
    fit();
  } catch (e) {
    toast(e.message);
  }
});
$("clear").addEventListener("click", () => call(`/phones/${encodeURIComponent(current)}/messages`, { method: "DELETE" }).catch((e) => toast(e.message)));

// ---- another phone

$("newCancel").addEventListener("click", () => $("newPhone").close());
$("newForm").addEventListener("submit", async (e) => {
  e.preventDefault();
  try {
    const p = await post("/phones", { phone: $("newNumber").value, name: $("newName").value });
    phones.set(p.id, p);
    $("newPhone").close();
    $("newForm").reset();
    $("newProblem").textContent = "";
    await choose(p.id);
    text.focus();
  } catch (err) {
    $("newProblem").textContent = err.message;
  }
});

// ---- views and tabs

for (const b of document.querySelectorAll(".views button")) {
  b.addEventListener("click", () => {
    document.body.dataset.view = b.dataset.view;
    for (const o of document.querySelectorAll(".views button")) o.setAttribute("aria-pressed", String(o === b));
    if (b.dataset.view === "panel") $("pane-why").scrollTo({ top: 1e6 });
    else chat.toEnd();
  });
}

function showHooks() {
  drawWebhooks($("pane-hooks"), hooks, async () => {
    const r = await post("/handshake").catch((e) => ({ error: e.message }));
    toast(r.ok ? "El webhook contestó el desafío: está bien puesto." : "No anduvo: " + r.error);
  });
}

const tabs = [...document.querySelectorAll("[role=tab]")];
function openTab(tab) {
  for (const t of tabs) {
    const on = t === tab;
    t.setAttribute("aria-selected", String(on));
    t.tabIndex = on ? 0 : -1;
    $(t.getAttribute("aria-controls")).hidden = !on;
  }
  if (tab.id === "tab-hooks") showHooks();
}
for (const t of tabs) {
  t.addEventListener("click", () => openTab(t));
  t.addEventListener("keydown", (e) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(t) + step + tabs.length) % tabs.length];
    openTab(next);
    next.focus();
  });
}

// ---- start

$("business").textContent = config.business;
drawFaults($("pane-faults"), config.faults || [], (words) => {
  text.value = words;
  fit();
  document.querySelector('.views [data-view="phone"]').click();
  text.focus();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  look();
  panel.refresh();
});
// Changes without an event (a timeout, another person's command) are found by a slow poll
// while the page is visible.
setInterval(() => !document.hidden && panel.refresh(0), 5000);
fit();
listen();
if (matchMedia("(pointer: fine)").matches) text.focus();
