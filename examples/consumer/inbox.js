// The inbox: events as they came, each once. What is in it is answered for; what
// becomes of it in the tables is apply.js's business.

/** Stores events and says how many were new. */
export async function keep(pool, events) {
  const { rowCount } = await pool.query(
    `insert into psi_eventos (id, conversacion, seq, pos, evento)
     select e->>'id', e#>>'{data,conversation,id}', (e->>'seq')::bigint, (e->>'pos')::bigint, e
     from jsonb_array_elements($1::jsonb) e
     on conflict (id) do nothing`,
    [JSON.stringify(events, (_, v) => (typeof v === "string" ? v.replaceAll("\0", "") : v))], // PostgreSQL has no room for it
  );
  return rowCount;
}
