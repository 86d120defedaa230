// Reads what happened from the router's API into the same inbox, from where it
// stopped the last time: the history before the endpoint was there, or all of it
// into new tables. What was pushed meanwhile is here already, and nothing is
// written twice.
import pg from "pg";
import { applyBatch } from "./apply.js";
import { keep } from "./inbox.js";

const { ROUTER_URL = "http://127.0.0.1:3002", API_KEY, DATABASE_URL } = process.env;
if (!API_KEY || !DATABASE_URL) throw new Error("set API_KEY (role viewer) and DATABASE_URL");
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 2 });

async function page(after) {
  for (let tries = 0; ; tries++) {
    const res = await fetch(`${ROUTER_URL}/api/v1/events?after=${after}&limit=200`, { headers: { authorization: `Bearer ${API_KEY}` } });
    if (res.ok) return res.json();
    if (![429, 503].includes(res.status) || tries === 10) throw new Error(`the router answers ${res.status}: ${await res.text()}`);
    await new Promise((r) => setTimeout(r, 1000 * Number(res.headers.get("retry-after") || 1)));
  }
}

let { rows } = await pool.query("select pos from psi_cursor where nombre = 'catchup'");
let after = Number(process.argv[2] ?? rows[0]?.pos ?? 0);
let seen = 0;
let fresh = 0;
for (;;) {
  const { items, pos, next_cursor } = await page(after);
  seen += items.length;
  fresh += await keep(pool, items);
  after = pos;
  await pool.query("insert into psi_cursor values ('catchup', $1) on conflict (nombre) do update set pos = excluded.pos", [after]);
  if (next_cursor === null) break;
}
while ((await applyBatch(pool)) > 0);
console.log(`${seen} events up to ${after}, ${fresh} of them new`);
await pool.end();
