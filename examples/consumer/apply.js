// From the inbox into the tables: a batch in one transaction, each conversation's
// events in order. An event that fails stays, with its error, and its conversation
// waits behind it; all others go on.
import * as words from "./words.js";

const BATCH = 100;
const LOCK = 7305; // one process at a time, also behind a pooler

/** Applies a batch and says how many events it took from the inbox. */
export async function applyBatch(pool) {
  const db = await pool.connect();
  try {
    await db.query("begin");
    await db.query("select pg_advisory_xact_lock($1)", [LOCK]);
    const { rows } = await db.query(
      `select e.id, e.conversacion, e.evento from psi_eventos e
       where e.aplicado_en is null and (e.error is null or e.reintento_en <= now())
         and not exists (select from psi_eventos f where f.conversacion = e.conversacion and f.pos < e.pos
                         and f.aplicado_en is null and f.error is not null)
       order by e.pos limit ${BATCH}`,
    );
    const stuck = new Set();
    for (const row of rows) {
      if (stuck.has(row.conversacion)) continue;
      await db.query("savepoint event");
      try {
        await apply(db, row.evento);
        await db.query("update psi_eventos set aplicado_en = now(), error = null where id = $1", [row.id]);
      } catch (err) {
        await db.query("rollback to savepoint event"); // fails too when the connection is gone
        await db.query("update psi_eventos set error = $2, reintento_en = now() + interval '1 minute' where id = $1", [row.id, err.message]);
        console.error(`event ${row.id} waits: ${err.message}`);
        stuck.add(row.conversacion);
      }
    }
    await db.query("commit");
    return rows.length;
  } catch (err) {
    await db.query("rollback").catch(() => {});
    throw err;
  } finally {
    db.release();
  }
}

async function apply(db, event) {
  const { conversation: c, message: m, handoff: h } = event.data;
  const phone = c.contact.phone || c.contact.user_id || c.contact.id; // some people show no number
  const talk = await saveConversation(db, event, phone);
  if (m) await saveMessage(db, event, talk, m);
  if (h) await saveHandoff(db, event, talk, phone, h);
  if (event.data.merged_with) await join(db, event);
  // One ticket is open at most: the others of this conversation are done.
  if (event.type.startsWith("conversation.")) {
    await db.query(
      `update tickets set estado = 'resuelto', ts_resuelto = $3
       where conversacion_id = $1 and estado = 'abierto' and ticket_id <> $2 and ts_abierto <= $3`,
      [talk, c.ticket, event.timestamp],
    );
  }
}

/** Writes the conversation, if the event is newer than the row, and returns the row's id. */
async function saveConversation(db, event, phone) {
  const c = event.data.conversation;
  const known = await db.query("select id from conversaciones where psi_id = $1", [c.id]);
  let id = known.rows[0]?.id;
  if (id && (event.type === "message.status" || event.type === "message.failed")) return id; // nothing of it changed
  const contact = await saveContact(db, phone, c.contact.name);
  // A conversation of the old router goes on; one that is nobody's is made.
  id ??= (
    await db.query(
      `update conversaciones set psi_id = $1 where id =
         (select id from conversaciones where psi_id is null and telefono = $2 and coalesce(linea_origen, $3) = $3
          order by ts_ultimo_mensaje desc nulls last limit 1) returning id`,
      [c.id, phone, c.line],
    )
  ).rows[0]?.id;
  id ??= (await db.query("insert into conversaciones (psi_id, telefono) values ($1, $2) returning id", [c.id, phone])).rows[0].id;
  const now = words.conversation[c.state](c);
  const m = event.data.message;
  const wrote = event.type === "message.received";
  const said = wrote || event.type === "message.sent";
  await db.query(
    `update conversaciones set psi_pos = $2, contacto_id = $3, telefono = $4, nombre = $5, linea_origen = $6, area = $7,
       estado = $8, router_estado = $9, subetiqueta = $10, ticket_id = $11, ventana_24h_fin = $12, ts_ultimo_mensaje = $13,
       ultimo_mensaje = coalesce($14, ultimo_mensaje), mensajes_no_leidos = mensajes_no_leidos + $15
     where id = $1 and psi_pos < $2`,
    [
      id, event.pos, contact, phone, c.contact.name, c.line, c.area, now.estado, now.router_estado, c.tag, c.ticket || null,
      c.window_expires_at, c.last_message_at, said ? m.text : null, wrote ? 1 : 0,
    ],
  );
  return id;
}

async function saveContact(db, phone, name) {
  const { rows } = await db.query("select id, nombre from contactos where telefono = $1", [phone]);
  if (rows[0] && (!name || rows[0].nombre === name)) return rows[0].id; // who looks at the table live is not woken for nothing
  const saved = await db.query(
    `insert into contactos (telefono, nombre) values ($1, $2)
     on conflict (telefono) do update set nombre = excluded.nombre, updated_at = now() returning id`,
    [phone, name || null],
  );
  return saved.rows[0].id;
}

/** A message is whole in each of its events, so the newest one is right. */
async function saveMessage(db, event, talk, m) {
  if (m.provider_id) { // the old router may have it already
    await db.query(
      `update mensajes set psi_id = $1 where psi_id is null and whatsapp_message_id = $2 and not exists (select from mensajes where psi_id = $1)`,
      [m.id, m.provider_id],
    );
  }
  await db.query(
    `insert into mensajes (psi_id, psi_pos, conversacion_id, mensaje, tipo, direccion, remitente_tipo, whatsapp_message_id,
       whatsapp_context_id, opcion_seleccionada, media_type, estado_envio, error_mensaje, eliminado, editado, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
     on conflict (psi_id) do update set psi_pos = excluded.psi_pos, conversacion_id = excluded.conversacion_id, tipo = excluded.tipo,
       direccion = excluded.direccion, remitente_tipo = excluded.remitente_tipo,
       mensaje = excluded.mensaje, whatsapp_message_id = excluded.whatsapp_message_id, estado_envio = excluded.estado_envio,
       error_mensaje = excluded.error_mensaje, eliminado = excluded.eliminado, editado = excluded.editado
     where mensajes.psi_pos < excluded.psi_pos`,
    [
      m.id, event.pos, talk, m.text, words.type(m.type), words.direction[m.direction], words.author[m.author], m.provider_id || null,
      m.quoted_id || null, m.reply_id || null, m.media?.mime || null, m.status, m.error ? `${m.error.code} ${m.error.detail}`.trim() : null,
      Boolean(m.revoked_at), Boolean(m.edited_at), m.sent_at ?? m.received_at ?? m.created_at,
    ],
  );
}

async function saveHandoff(db, event, talk, phone, h) {
  await db.query(
    `insert into derivaciones (psi_id, conversacion_id, ticket_id, telefono, area_origen, area_destino, subetiqueta, motivo, derivado_por, ts_derivacion)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (psi_id) do nothing`,
    [event.id, talk, h.ticket, phone, h.from_area, h.area, h.tag, h.note, h.by, event.timestamp],
  );
  await db.query(
    `insert into tickets (ticket_id, conversacion_id, telefono, area, area_origen, area_destino, estado, subetiqueta, motivo_derivacion, ts_abierto)
     values ($1, $2, $3, $4, $5, $4, 'abierto', $6, $7, $8)
     on conflict (ticket_id) do update set area = excluded.area, area_destino = excluded.area_destino, subetiqueta = excluded.subetiqueta`,
    [h.ticket, talk, phone, h.area, h.from_area, h.tag, h.note, event.timestamp],
  );
}

/** Two conversations of a line turned out to be one person's: both events say so, and what one had is the other's. */
async function join(db, event) {
  const here = event.data.conversation.id;
  const other = event.data.merged_with;
  const [from, into] = event.type === "conversation.closed" ? [here, other] : [other, here];
  for (const table of ["mensajes", "tickets", "derivaciones"]) {
    await db.query(
      `update ${table} set conversacion_id = i.id from conversaciones f, conversaciones i
       where f.psi_id = $1 and i.psi_id = $2 and conversacion_id = f.id`,
      [from, into],
    );
  }
}
