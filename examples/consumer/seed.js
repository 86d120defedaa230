// For the day of the change: tells the new router of those who wrote to the old
// one in the last 24 h, by posting the last message of each as Meta posted it. It
// is stored as stale and answered to nobody, and WhatsApp's window is known. Whom
// a team has is disconnected, so that the bot stays silent until the team closes
// the conversation. It may run again.
import { createHmac } from "node:crypto";
import pg from "pg";

const { ROUTER_URL = "http://127.0.0.1:3002", API_KEY, APP_SECRET, PHONE_NUMBER_ID, DATABASE_URL } = process.env;
if (!API_KEY || !APP_SECRET || !PHONE_NUMBER_ID || !DATABASE_URL) {
  throw new Error("set API_KEY (role agent), APP_SECRET, PHONE_NUMBER_ID (those of the line) and DATABASE_URL");
}
const LINE = process.env.LINE || "wsp4";
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 1 });
// Adapt these words to your tables; rows that the consumer wrote are left out.
const { rows } = await pool.query(
  `select distinct on (v.telefono) v.telefono, v.nombre, v.estado, m.mensaje, m.whatsapp_message_id as id,
     extract(epoch from m.created_at)::bigint as at
   from conversaciones v join mensajes m on m.conversacion_id = v.id
   where m.psi_id is null and m.direccion = 'entrante' and m.whatsapp_message_id is not null
     and coalesce(v.linea_origen, $1) = $1 and m.created_at between now() - interval '24 hours' and now() - interval '15 minutes'
   order by v.telefono, m.created_at desc`,
  [LINE],
);

async function api(path, init = {}) {
  const res = await fetch(`${ROUTER_URL}/api/v1${path}`, { ...init, headers: { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" } });
  if (!res.ok) throw new Error(`${path}: ${res.status} ${await res.text()}`);
  return res.json();
}

let silent = 0;
for (const r of rows) {
  const message = { from: r.telefono, id: r.id, timestamp: r.at, type: "text", text: { body: r.mensaje } };
  const value = {
    messaging_product: "whatsapp", metadata: { phone_number_id: PHONE_NUMBER_ID },
    contacts: [{ wa_id: r.telefono, profile: { name: r.nombre || "" } }], messages: [message],
  };
  const body = JSON.stringify({ object: "whatsapp_business_account", entry: [{ id: "0", changes: [{ field: "messages", value }] }] });
  const signature = "sha256=" + createHmac("sha256", APP_SECRET).update(body).digest("hex");
  const res = await fetch(`${ROUTER_URL}/webhook`, { method: "POST", body, headers: { "x-hub-signature-256": signature } });
  if (!res.ok) throw new Error(`webhook: ${res.status} ${await res.text()}`);
  if (!["derivada", "desconectado"].includes(r.estado)) continue;
  for (let tries = 0; ; tries++) {
    const { items } = await api(`/conversations?phone=${r.telefono}&line=${LINE}`);
    if (items.length) {
      await api(`/conversations/${items[0].id}/disconnect`, { method: "POST", body: "{}" });
      silent++;
      break;
    }
    if (tries === 50) throw new Error("the router does not take messages: psi-router queue stats");
    await new Promise((r) => setTimeout(r, 200));
  }
}
console.log(`${rows.length} people told, ${silent} of them left to their team`);
await pool.end();
