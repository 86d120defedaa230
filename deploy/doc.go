// Package deploy has only tests: they take the deployment files in this directory, run the
// real program, nginx, Caddy, PM2 and systemd's tools with them, and post as Meta does. It
// must never need a port, a user or a directory of the machine: fixed places are replaced
// first.
package deploy
