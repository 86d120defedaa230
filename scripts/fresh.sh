#!/usr/bin/env bash
# fresh.sh: walks the README on a fresh Debian 12 that has git, make and Go, and
# nothing else: clone, `make run` until the phone has its answer, `make test`. The
# root is made by debootstrap in a temporary folder and removed in the end. The
# working tree's last commit is what it walks.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

die() { printf 'fresh: %s\n' "$*" >&2; exit 1; }
step() { # step NAME COMMAND…: runs it and says how long it took
	local name=$1 start=$SECONDS
	shift
	printf '== %s\n' "$name"
	"$@" || die "$name: failed after $((SECONDS - start)) s"
	printf '== %s: %d s\n' "$name" $((SECONDS - start))
}

# Everything below runs in a mount and process namespace of its own: when it ends,
# whichever way, its mounts and processes are gone.
if [ -z "${PSI_FRESH_ROOT:-}" ]; then
	[ "$(id -u)" = 0 ] || die "a fresh root can only be made by root: sudo $0"
	[ -e /etc/debian_version ] && command -v apt-get >/dev/null || die "a fresh root is made by debootstrap, on Debian or Ubuntu; this is neither"
	unshare --mount --pid --fork true 2>/dev/null || die "this machine allows no namespaces (unshare --mount --pid), so a fresh root could not be removed safely"
	command -v debootstrap >/dev/null || step "apt-get install debootstrap" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap
	! curl -s -o /dev/null http://127.0.0.1:3002/healthz || die "port 3002 is taken, which make run needs: stop what listens there"
	PSI_FRESH_ROOT=$(mktemp -d -t psi-fresh.XXXXXX)
	chmod 755 "$PSI_FRESH_ROOT" # servers run as users of their own
	export PSI_FRESH_ROOT
	unshare --mount --mount-proc --pid --fork --kill-child "$0" &
	walk=$!
	# Who waits in unshare hears no other signal; its child ends with it.
	trap 'kill -KILL $walk 2>/dev/null || true; wait $walk || true; rm -rf --one-file-system "$PSI_FRESH_ROOT"' EXIT
	trap 'exit 130' INT TERM
	wait $walk
	exit
fi

root=$PSI_FRESH_ROOT
log=$root/run.log
in_root() { # in_root COMMAND: as a newcomer's shell
	chroot "$root" env -i HOME=/root LANG=C.UTF-8 "PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "${passed[@]}" sh -c "$1"
}

# The way out of this machine, if it has one of its own: proxies, authorities.
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

# The phone writes "hola" and has its answer; then Ctrl-C.
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
step "make run, until the phone has its answer" answered
step "make test" in_root 'cd /root/router && make test'
step "make test once more: nothing to set up" in_root 'cd /root/router && ./scripts/setup.sh'
