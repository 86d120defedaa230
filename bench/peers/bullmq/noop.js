// Runs jobs that do nothing through BullMQ. bench/report starts its phases and measures
// Redis meanwhile.
const { Queue, Worker } = require('bullmq');
const IORedis = require('ioredis');
const Redis = IORedis.Redis || IORedis;
const readline = require('node:readline');

const port = +process.env.REDIS_PORT, jobs = +process.env.JOBS, concurrency = +process.env.CONCURRENCY;
const connect = () => new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: null });
const say = (line) => console.log(JSON.stringify(line));
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const since = (began) => Number(process.hrtime.bigint() - began) / 1e9;

async function main() {
  const q = new Queue('noop', { connection: connect(), defaultJobOptions: { removeOnComplete: true } });
  await q.waitUntilReady();
  say({ phase: 'ready' });
  await lines.next();
  let began = process.hrtime.bigint();
  const body = 'x'.repeat(+process.env.PAYLOAD);
  for (let i = 0; i < jobs; i += 500) {
    const some = [];
    for (let k = i; k < Math.min(i + 500, jobs); k++) {
      // The id deduplicates while the job is kept.
      some.push({ name: 'noop', data: body, opts: { jobId: 'wamid.' + String(k).padStart(54, '0') } });
    }
    await q.addBulk(some);
  }
  say({ phase: 'filled', seconds: since(began) });
  await lines.next();
  began = process.hrtime.bigint();
  let left = jobs;
  let done;
  const all = new Promise((resolve) => { done = resolve; });
  const w = new Worker('noop', async () => {}, { connection: connect(), concurrency });
  w.on('completed', () => { if (--left === 0) done(); });
  await all;
  say({ phase: 'done', seconds: since(began) });
  await lines.next();
  process.exit(0);
}
main().catch((e) => { console.error(e); process.exit(1); });
