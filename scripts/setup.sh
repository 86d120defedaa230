#!/usr/bin/env bash
# setup.sh: installs the missing programs that the tests start.
#
# On Debian and Ubuntu it says what it installs and uses apt-get, as root or with sudo;
# elsewhere it names what is missing. A service that comes with a package (Redis, nginx …)
# is neither started nor enabled: the tests start their own, on free ports.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }

missing=()
need() { # need PACKAGE PROGRAM…: the package unless one of the programs is there
	local package=$1 program
	shift
	for program in "$@"; do
		if have "$program"; then return; fi
	done
	missing+=("$package")
}

need gcc gcc cc # the race detector
need curl curl
need openssl openssl
need redis-server redis-server
need postgresql initdb /usr/lib/postgresql/*/bin/initdb
need pgbouncer pgbouncer
need nginx nginx
need caddy caddy
need prometheus promtool
need systemd systemd-socket-activate
need chromium chromium chromium-browser google-chrome google-chrome-stable chrome
need nodejs node
need npm npm
have gcc && [ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
[ -e /etc/ssl/certs/ca-certificates.crt ] || [ -d /etc/pki ] || missing+=(ca-certificates)

install_with_apt() {
	local root=() policy=/usr/sbin/policy-rc.d service
	if [ "$(id -u)" != 0 ]; then
		have sudo || die "these packages are missing: $*. There is no sudo here, so run this as root: apt-get install --no-install-recommends $*"
		root=(sudo)
	fi
	say "installing with apt-get${root[*]:+ and sudo}, this takes minutes: $*"
	# Debian asks policy-rc.d whether a new service may start.
	if [ ! -e $policy ]; then
		trap '"${root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
		"${root[@]}" chmod 755 $policy
	fi
	"${root[@]}" apt-get update -qq
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "$@" >/dev/null
	# No unit of a new package starts with the machine either.
	for service in "$@"; do
		if have systemctl && [ -e "/lib/systemd/system/$service.service" ]; then
			"${root[@]}" systemctl --quiet disable "$service.service" 2>/dev/null || say "could not disable $service.service: it may start with the machine"
		fi
	done
}

if [ ${#missing[@]} -gt 0 ]; then
	have apt-get || die "the tests start programs that are missing here, from these Debian packages: ${missing[*]}. Install them in this system's way and try again"
	install_with_apt "${missing[@]}"
fi

# PM2 for the tests in deploy, in the version of the lock file.
modules=deploy/testdata/node_modules
if [ ! -e $modules/.package-lock.json ] || [ deploy/testdata/package-lock.json -nt $modules/.package-lock.json ]; then
	say "npm ci in deploy/testdata"
	npm ci --prefix deploy/testdata --ignore-scripts --no-audit --no-fund --loglevel error
	touch $modules/.package-lock.json
fi
