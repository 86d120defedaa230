// The router's words in those of the tables. Change the right side to what your
// CRM shows; nothing else here knows these words.
export const conversation = {
  menu: (c) => ({ estado: "en_menu", router_estado: c.menu ? `submenu_${c.menu}` : "menu_principal" }),
  handed_off: () => ({ estado: "derivada", router_estado: "derivado" }),
  closed: () => ({ estado: "cerrada", router_estado: "menu_principal" }),
  disconnected: () => ({ estado: "desconectado", router_estado: "derivado" }),
};
export const direction = { inbound: "entrante", outbound: "saliente" };
export const author = { contact: "contacto", router: "router", agent: "agente", phone: "agente", system: "sistema" };

// What the tables' check on tipo knows; everything else is text to them.
const types = new Set(["text", "image", "audio", "video", "document", "location", "contact"]);
export const type = (t) => (types.has(t) ? t : t === "contacts" ? "contact" : t === "sticker" ? "image" : "text");
