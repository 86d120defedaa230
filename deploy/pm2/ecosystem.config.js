// PSI Router under PM2: one webhook process and five workers, over Redis and
// PostgreSQL. The program is one binary; PM2 only starts and supervises it.
//
//   pm2 start /opt/psi-router/current/deploy/pm2/ecosystem.config.js
//   pm2 save && pm2 startup          # and again after a reboot
//   pm2 reload /opt/psi-router/current/deploy/pm2/ecosystem.config.js
//
// Configuration and secrets are in the file below and not in env, because PM2 writes env to
// its dump. ROUTER_BIN, ROUTER_CONFIG and ROUTER_PORT set other places.
const script = process.env.ROUTER_BIN || '/usr/local/bin/psi-router';
const port = Number(process.env.ROUTER_PORT || 3002);
const config = process.env.ROUTER_CONFIG || '/etc/psi-router/psi-router.yaml';

const common = {
  script,
  interpreter: 'none', // a program, not a script
  exec_mode: 'fork', // cluster mode is for Node; workers need no shared port
  wait_ready: true, // the router reports when it is ready
  listen_timeout: 30000, // a first start may migrate the database
  kill_timeout: 45000, // above drain_timeout (25 s), after which PM2 kills
  stop_exit_codes: [2], // wrong configuration: a restart would not help
  exp_backoff_restart_delay: 200, // Redis or PostgreSQL may be down
  max_restarts: 1000000,
  autorestart: true,
  merge_logs: true,
  vizion: false, // there is no repository
  pmx: false,
};

// webhook is the nth webhook process, on port 3002, 3003, …
const webhook = (name, nth) => ({
  ...common,
  name,
  args: ['serve', '--role', 'webhook', '--config', config],
  env: { PSI_LISTEN: `127.0.0.1:${port + nth}` },
});

const workers = (instances) => ({
  ...common,
  name: 'psi-router-worker',
  args: ['serve', '--role', 'worker', '--config', config],
  instances,
});

module.exports = {
  apps: [webhook('psi-router', 0), workers(5)],
  webhook,
  workers,
};
