#!/usr/bin/env bash
# fresh.sh: follows the README on a fresh Debian 12 that has only git, make and Go: clone,
# `make run` until the phone gets an answer, `make test`. It clones the working tree's last
# commit. debootstrap creates the root in a temporary folder, which is removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

die() { printf 'fresh: %s\n' "$*" >&2; exit 1; }
step() { # step NAME COMMAND…: runs the command and prints how long it took
	local name=$1 start=$SECONDS
	shift
	printf '== %s\n' "$name"
	"$@" || die "$name: failed after $((SECONDS - start)) s"
	printf '== %s: %d s\n' "$name" $((SECONDS - start))
}

# The rest runs in a mount and process namespace of its own: when it ends, its mounts and
# processes end with it.
if [ -z "${PSI_FRESH_ROOT:-}" ]; then
	[ "$(id -u)" = 0 ] || die "only root can create a fresh root: sudo $0"
	[ -e /etc/debian_version ] && command -v apt-get >/dev/null || die "debootstrap needs Debian or Ubuntu; this is neither"
	unshare --mount --pid --fork true 2>/dev/null || die "this machine allows no namespaces (unshare --mount --pid), so a fresh root could not be removed safely afterwards"
	command -v debootstrap >/dev/null || step "apt-get install debootstrap" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap
	! curl -s -o /dev/null http://127.0.0.1:3002/healthz || die "make run needs port 3002, which is in use: stop the program that listens on it"
	PSI_FRESH_ROOT=$(mktemp -d -t psi-fresh.XXXXXX)
	chmod 755 "$PSI_FRESH_ROOT" # servers run as users of their own
	export PSI_FRESH_ROOT
	unshare --mount --mount-proc --pid --fork --kill-child "$0" &
	walk=$!
	# unshare reacts to no other signal while it waits; its child ends with it.
	trap 'kill -KILL $walk 2>/dev/null || true; wait $walk || true; rm -rf --one-file-system "$PSI_FRESH_ROOT"' EXIT
	trap 'exit 130' INT TERM
	wait $walk
	exit
fi

root=$PSI_FRESH_ROOT
log=$root/run.log
in_root() { # in_root COMMAND: runs the command as in a new user's shell
	chroot "$root" env -i HOME=/root LANG=C.UTF-8 "PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "${passed[@]}" sh -c "$1"
}

# The machine's proxies and certificate authorities, if it has its own.
passed=()
for name in http_proxy https_proxy no_proxy GOPROXY GONOSUMDB GOSUMDB GOFLAGS SSL_CERT_FILE NODE_EXTRA_CA_CERTS; do
	[ -z "${!name:-}" ] || passed+=("$name=${!name}")
done

debian() {
	debootstrap --variant=minbase --include=git,make,ca-certificates bookworm "$root" >"$root/debootstrap.log" 2>&1 || { tail -n 20 "$root/debootstrap.log"; return 1; }
	rm -f "$root/debootstrap.log"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
	cp -R "$(go env GOROOT)" "$root/usr/local/go"
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs tmpfs "$root/tmp"
}

clone() {
	mkdir "$root/origin"
	git bundle create -q "$root/origin/router.bundle" HEAD
	in_root 'git -c advice.detachedHead=false clone -q /origin/router.bundle /root/router && cd /root/router && git log --oneline -1'
}

# The phone writes "hola" and gets an answer; then Ctrl-C.
answered() {
	local pid phone=http://127.0.0.1:3002/sandbox/phones/ana
	set -m
	in_root 'cd /root/router && exec make run' >"$log" 2>&1 &
	pid=$!
	set +m
	until curl -sf -o /dev/null http://127.0.0.1:3002/readyz; do
		kill -0 "$pid" 2>/dev/null || { cat "$log"; return 1; }
		sleep 0.2
	done
	curl -sfS -o /dev/null -H 'Content-Type: application/json' -d '{"type":"text","text":"hola"}' $phone/messages || return 1
	until curl -sf $phone | grep -q '"from":"business"'; do
		kill -0 "$pid" 2>/dev/null || { cat "$log"; return 1; }
		sleep 0.2
	done
	cat "$log"
	kill -INT -- "-$pid"
	wait "$pid" || true
}

step "debootstrap, and Go copied in" debian
step "git clone" clone
step "make run, until the phone gets an answer" answered
step "make test" in_root 'cd /root/router && make test'
step "setup.sh again: nothing to install" in_root 'cd /root/router && ./scripts/setup.sh'
