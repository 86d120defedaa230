// Package deploy holds no code but tests: they take the files beside it that an
// operator gets, put the real program, nginx, Caddy, PM2 and systemd's tools
// behind them, and write to it as Meta does. It must never need a port, a user
// or a directory of the machine: what has a fixed place gets another one first.
package deploy
