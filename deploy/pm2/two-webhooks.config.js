// The same with two webhook processes behind nginx or Caddy, which sends requests to the
// one that is up. Reload them by name, one after the other: given the file, PM2 reloads two
// applications at once.
//
//   pm2 reload psi-router && pm2 reload psi-router-2 && pm2 reload psi-router-worker
//
// With a single webhook, posts during its restart are refused and come again: Meta repeats
// a post that got no 200.
const { webhook, workers } = require('./ecosystem.config.js');

module.exports = {
  apps: [webhook('psi-router', 0), webhook('psi-router-2', 1), workers(5)],
};
