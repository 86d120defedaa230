// Helpers to build the page: everything from outside becomes text, never markup.

/** h makes an element: h("p", {class: "x", onclick: f}, "text", child). */
export function h(tag, props, ...children) {
  const node = tag === "svg" || tag === "path" ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c != null && c !== false));
  return node;
}

export const $ = (id) => document.getElementById(id);

/** icon draws one of our line icons. */
export function icon(name, label) {
  const svg = h("svg", { viewBox: "0 0 24 24", class: "i i-" + name, ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) });
  for (const d of [paths[name]].flat()) svg.append(h("path", { d }));
  return svg;
}

const paths = {
  send: "M4 11.5 20 4l-4.5 16-4-6.5z",
  mic: ["M12 4a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0v-5A2.5 2.5 0 0 1 12 4z", "M6.5 11.5a5.5 5.5 0 0 0 11 0M12 17v3"],
  list: "M9 7h11M9 12h11M9 17h11M4.5 7h.01M4.5 12h.01M4.5 17h.01",
  reply: "M10 6 4 11.5 10 17v-3.5c5 0 8 1.5 10 4.5-.5-6-4-8.5-10-8.5z",
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M8 6v12M16 6v12",
  file: ["M7 3.5h7l4 4v13H7z", "M14 3.5v4h4"],
  photo: ["M4 5.5h16v13H4z", "m4.5 17 5-5 4 4 2.5-2.5 3.5 3.5M15.5 9.5h.01"],
  place: ["M12 21c4-4.5 6-7.5 6-10.5a6 6 0 0 0-12 0c0 3 2 6 6 10.5z", "M12 12.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4z"],
  person: ["M12 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z", "M5 20c.5-4 3.5-6 7-6s6.5 2 7 6"],
  link: ["M13 5h6v6", "M19 5l-8 8M17 14v5H5V7h5"],
  more: "m6 9 6 6 6-6",
  sticker: ["M12 3.5a8.5 8.5 0 1 0 8.5 8.5z", "M12 3.5c0 5 3.5 8.5 8.5 8.5"],
  poll: "M6 20v-8M12 20V4M18 20v-5",
  clock: ["M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z", "M12 7.5V12l3 2"],
  twice: ["M8 8h11v11H8z", "M5 16V5h11"],
  swap: "M5 8h13l-3-3M19 16H6l3 3",
  plus: "M12 5v14M5 12h14",
};

/** ticks draws ✓ and ✓✓ with words for who cannot see them. */
export function ticks(tick) {
  const words = { sent: "Enviado", delivered: "Entregado", read: "Leído", played: "Escuchado", failed: "No se pudo entregar", queued: "En cola", sending: "Saliendo", uncertain: "No se sabe si salió" };
  const box = h("span", { class: "ticks t-" + tick, role: "img", "aria-label": words[tick] || tick, title: words[tick] || tick });
  const svg = h("svg", { viewBox: "0 0 20 12", "aria-hidden": "true" });
  const one = "m1.5 6.5 3.5 3.5 7-8.5";
  const two = "m8 9 1 1 7.5-8.5";
  if (tick === "sent") svg.append(h("path", { d: "m5 6.5 3.5 3.5 7-8.5" }));
  else if (tick === "delivered" || tick === "read" || tick === "played") svg.append(h("path", { d: one }), h("path", { d: two }));
  else if (tick === "failed" || tick === "uncertain") svg.append(h("path", { d: "M10 1.5v5.5M10 10v.3" }));
  else svg.append(h("path", { d: "M10 2v4l2.5 2M10 .8a5.2 5.2 0 1 0 .01 0" }));
  box.append(svg);
  return box;
}

export const clock = (ms) => new Date(ms).toLocaleTimeString("es-AR", { hour: "2-digit", minute: "2-digit", hour12: false });

export function day(ms) {
  const then = new Date(ms);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(ms).setHours(0, 0, 0, 0)) / 864e5);
  if (days === 0) return "Hoy";
  if (days === 1) return "Ayer";
  if (days > 1 && days < 7) return then.toLocaleDateString("es-AR", { weekday: "long" });
  return then.toLocaleDateString("es-AR", { day: "numeric", month: "long", year: "numeric" });
}

let toastTimer;
export function toast(text) {
  const box = $("toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (box.hidden = true), 4000);
}
