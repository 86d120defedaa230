// The same with two webhook processes behind nginx or Caddy: pm2 reload takes one
// after the other, and the proxy gives the requests to the one that is up. With a
// single process, what is posted during its restart is refused, and comes again:
// Meta repeats what got no 200.
const { webhook, workers } = require('./ecosystem.config.js');

module.exports = {
  apps: [webhook('psi-router', 3002), webhook('psi-router-2', 3003), workers(5)],
};
