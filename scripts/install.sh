#!/bin/sh
# Installs PSI Router from its unpacked tarball, on this machine or below DESTDIR:
#
#   sudo ./install.sh [--domain router.example.com] [--rollback]
#
#   /opt/psi-router/releases/VERSION   the tarball's files; current points to one release
#   /usr/local/bin/psi-router          the program of the current release
#   /etc/psi-router/psi-router.yaml    configuration; never overwritten
#   /var/lib/psi-router                data, for the user psi-router alone
#   /etc/systemd/system                units, not enabled
#
# It starts and restarts nothing. Installing another release switches to it if
# it can start; --rollback switches back to the previous one. Both take effect at the
# next restart.
set -eu

DESTDIR=${DESTDIR:-}
USER_NAME=psi-router
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
opt=$DESTDIR/opt/psi-router
etc=$DESTDIR/etc/psi-router
var=$DESTDIR/var/lib/psi-router
units=$DESTDIR/etc/systemd/system
domain=
rollback=

say() { printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

while [ $# -gt 0 ]; do
	case $1 in
	--domain) [ $# -gt 1 ] || die "--domain needs a name such as router.example.com"; domain=$2; shift ;;
	--domain=*) domain=${1#*=} ;;
	--rollback) rollback=yes ;;
	-h | --help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) die "I do not know $1; see --help" ;;
	esac
	shift
done
case $domain in *[!a-z0-9.-]*) die "--domain $domain is not a DNS name" ;; esac

# Owners and groups are set only as root on the machine itself.
real=
if [ -z "$DESTDIR" ]; then
	[ "$(id -u)" = 0 ] || die "run it as root, or set DESTDIR to install below a directory"
	real=yes
fi

# point LINK TARGET: replaces the link atomically.
point() {
	ln -sfn "$2" "$1.new.$$"
	mv -fT "$1.new.$$" "$1"
}

version_of() { readlink "$1" 2>/dev/null | sed 's|.*/||'; }

if [ -n "$rollback" ]; then
	before=$(version_of "$opt/previous") || before=
	now=$(version_of "$opt/current") || now=
	[ -n "$before" ] && [ -x "$opt/releases/$before/psi-router" ] || die "there is no previous release below $opt"
	"$opt/releases/$before/psi-router" version >/dev/null || die "the release $before does not start"
	point "$opt/current" "releases/$before"
	point "$opt/previous" "releases/$now"
	say "psi-router $before is current again (it was $now). Restart it: systemctl restart psi-router.target, or pm2 reload"
	exit 0
fi

[ -x "$here/psi-router" ] || die "psi-router is missing here: run this script in the unpacked tarball"
"$here/psi-router" version >/dev/null 2>&1 || die "this psi-router does not start here: is the tarball for $(uname -m)?"
release=$(cat "$here/VERSION") || die "VERSION is missing here: run this script in the unpacked tarball"
case $release in '' | *[!A-Za-z0-9._+-]*) die "VERSION has no version: $release" ;; esac

if [ -n "$real" ] && ! getent passwd $USER_NAME >/dev/null; then
	useradd --system --home-dir /var/lib/psi-router --no-create-home --shell /usr/sbin/nologin --user-group $USER_NAME
	say "created the user $USER_NAME"
fi

# The release is complete before anything points to it.
install -d -m 755 "$opt/releases" "$DESTDIR/usr/local/bin" "$units"
target=$opt/releases/$release
if [ "$here" != "$target" ]; then
	rm -rf "$target.new"
	cp -R "$here" "$target.new"
	chmod -R u=rwX,go=rX "$target.new"
	[ -z "$real" ] || chown -R root:root "$target.new"
	if [ -e "$target" ]; then mv "$target" "$target.old.$$"; fi
	mv "$target.new" "$target"
	rm -rf "$target.old.$$"
fi

install -d -m 750 "$etc"
install -d -m 700 "$var"
fresh=
if [ ! -e "$etc/psi-router.yaml" ]; then
	install -m 640 "$here/deploy/psi-router.yaml" "$etc/psi-router.yaml"
	fresh=yes
fi
if [ -n "$real" ]; then
	chown root:$USER_NAME "$etc"
	[ -z "$fresh" ] || chown root:$USER_NAME "$etc/psi-router.yaml"
	chown $USER_NAME:$USER_NAME "$var"
fi

for unit in "$here"/deploy/systemd/psi-router*; do
	install -m 644 "$unit" "$units/"
done
if [ -n "$domain" ]; then
	# nginx may be installed later; existing files are never overwritten.
	sites=$DESTDIR/etc/nginx/sites-available
	install -d -m 755 "$sites"
	for stage in psi-router-http psi-router; do
		if [ ! -e "$sites/$stage" ]; then
			sed "s/router\.example\.com/$domain/g" "$here/deploy/nginx/$stage.conf" >"$sites/$stage"
			say "wrote $sites/$stage"
		fi
	done
fi

before=$(version_of "$opt/current") || before=
if [ -n "$before" ] && [ "$before" != "$release" ]; then
	point "$opt/previous" "releases/$before"
fi
point "$opt/current" "releases/$release"
ln -sfn ../../../opt/psi-router/current/psi-router "$DESTDIR/usr/local/bin/psi-router"
if [ -n "$real" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi

say "psi-router $release is installed."
if [ -n "$fresh" ]; then
	say "1. Write your lines and secrets into /etc/psi-router/psi-router.yaml."
	say "2. Start it: systemctl enable --now psi-router"
	say "   For webhooks and workers over Redis and PostgreSQL see deploy/systemd/psi-router.target and deploy/pm2."
	say "3. docs/operations.md has the rest: nginx, the certificate, upgrades, backups."
else
	say "Your configuration is unchanged${before:+; the previous release was $before}. Restart: systemctl restart psi-router (or psi-router.target), or pm2 reload"
fi
