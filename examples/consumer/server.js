// Takes the router's events: verify, keep, answer. The tables are filled after
// the answer, so a slow database costs nobody's time but its own.
import { createServer } from "node:http";
import pg from "pg";
import { Webhook } from "standardwebhooks";
import { applyBatch } from "./apply.js";
import { keep } from "./inbox.js";

const { SECRET, DATABASE_URL, PORT = "3100", HOST = "127.0.0.1" } = process.env;
if (!SECRET || !DATABASE_URL) throw new Error("set SECRET (that of the endpoint) and DATABASE_URL");
const webhook = new Webhook(SECRET);
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });
pool.on("error", (err) => console.error(`database: ${err.message}`)); // an idle connection broke: the next one is new

const MOST = 4 << 20;
const server = createServer(async (req, res) => {
  let event;
  try {
    const parts = [];
    let size = 0;
    for await (const part of req) {
      if ((size += part.length) > MOST) return res.writeHead(413, { connection: "close" }).end();
      parts.push(part);
    }
    event = webhook.verify(Buffer.concat(parts).toString(), req.headers); // over the bytes as they came
  } catch {
    return res.writeHead(401).end();
  }
  try {
    await keep(pool, [event]);
    res.writeHead(204).end();
    wake();
  } catch (err) {
    console.error(`event ${event.id} not kept: ${err.message}`);
    res.writeHead(503, { "retry-after": "5" }).end(); // the router keeps it and comes back
  }
});

let more = resolvers();
let running = true;
const wake = () => more.resolve();
function resolvers() {
  let resolve;
  return { promise: new Promise((r) => (resolve = r)), resolve };
}

async function work() {
  while (running) {
    more = resolvers();
    let left = 0;
    try {
      left = await applyBatch(pool);
    } catch (err) {
      console.error(`apply: ${err.message}`);
    }
    // Nothing to do: until something comes, or 5 s for what waits to be tried again.
    if (left === 0 && running) {
      const timer = setTimeout(wake, 5000);
      await more.promise;
      clearTimeout(timer);
    }
  }
}

const working = work();
server.listen(Number(PORT), HOST, () => console.log(`listening on ${HOST}:${server.address().port}`));
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    running = false;
    wake();
    server.close();
    server.closeIdleConnections();
    await working;
    await pool.end();
  });
}
