// The desk beside the phone: a team member acts through the same API that a CRM uses.
import { $, h, toast } from "./dom.js";

const refusals = {
  window_closed: "Pasaron 24 h desde su último mensaje: WhatsApp sólo deja salir una plantilla.",
  conversation_closed: "La conversación está cerrada.",
  line_unknown: "Esa línea ya no está configurada.",
  rate_limited: "Demasiados pedidos juntos: esperá un momento.",
  not_found: "La conversación ya no está.",
  forbidden: "Esta clave de la API no puede escribir.",
};

export class Desk {
  constructor({ ask, changed }) {
    this.ask = ask;
    this.changed = changed;
    $("desk").addEventListener("submit", (e) => {
      e.preventDefault();
      this.answer();
    });
    $("deskText").addEventListener("input", () => (this.key = null));
    $("deskText").addEventListener("keydown", (e) => {
      if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
        e.preventDefault();
        this.answer();
      }
    });
    $("deskArea").addEventListener("change", () => this.draw());
    $("deskHand").addEventListener("click", () => this.hand());
  }

  /** show follows the conversation; null hides the desk. */
  async show(conversation) {
    if (conversation?.id !== this.conversation?.id) {
      this.key = null;
      $("deskText").value = "";
      $("deskArea").value = "";
    }
    this.conversation = conversation;
    $("desk").hidden = !conversation;
    if (conversation) await this.areas();
    this.draw();
  }

  draw() {
    const area = $("deskArea").value;
    $("deskHand").disabled = !area || (this.conversation?.state === "handed_off" && this.conversation.area === area);
  }

  async areas() {
    if (this.listed) return;
    this.listed = true;
    const list = await this.ask("/areas").catch(() => {
      this.listed = false;
      return {};
    });
    for (const a of list.items || []) $("deskArea").append(h("option", { value: a.id }, a.name || a.id));
  }

  async answer() {
    const text = $("deskText").value.trim();
    if (!text || this.busy) return;
    this.key ||= unique(); // the same one when it has to be sent again
    const done = await this.post("messages", { type: "text", text: { body: text } }, this.key);
    if (!done) return;
    this.key = null;
    $("deskText").value = "";
  }

  async hand() {
    const area = $("deskArea");
    if (!area.value || this.busy) return;
    const name = area.selectedOptions[0].textContent;
    if (await this.post("handoff", { area: area.value, reason: "mesa de prueba" }, unique())) toast(`Ahora la tiene ${name}.`);
    area.value = "";
    this.draw();
  }

  async post(what, body, key) {
    this.busy = true;
    $("deskSend").disabled = true;
    try {
      await this.ask(`/conversations/${encodeURIComponent(this.conversation.id)}/${what}`, { method: "POST", headers: { "Content-Type": "application/json", "Idempotency-Key": key }, body: JSON.stringify(body) });
      return true;
    } catch (e) {
      toast(refusals[e.code] || "No se pudo: " + e.message);
      return false;
    } finally {
      this.busy = false;
      $("deskSend").disabled = false;
      this.changed();
    }
  }
}

export const unique = () => crypto.randomUUID?.() || String(Math.random()).slice(2);
