#!/usr/bin/env bash
# dist.sh DIR [ARCH…]: writes static tarballs for operators and their checksums. The same
# commit gives the same bytes: no paths, no user names, and the commit's time.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to}
shift
archs=("$@")
[ ${#archs[@]} -gt 0 ] || archs=(amd64 arm64)
version=${VERSION:-$(git describe --tags --always --dirty)}
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

mkdir -p "$out"
out=$(cd "$out" && pwd)
umask 022
for arch in "${archs[@]}"; do
	name=psi-router_${version}_linux_$arch
	stage=$out/.$name
	rm -rf "$stage"
	mkdir -p "$stage/$name"
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch "${GO:-go}" build -trimpath -buildvcs=false \
		-ldflags "${LDFLAGS:--s -w -X main.version=$version}" -o "$stage/$name/psi-router" ./cmd/psi-router
	printf '%s\n' "$version" >"$stage/$name/VERSION"
	cp -R README.md README.es.md CHANGELOG.md LICENSE flows docs examples deploy "$stage/$name/"
	find "$stage/$name" \( -name '*.go' -o -name testdata -o -name node_modules \) -prune -exec rm -rf {} +
	install -m 755 scripts/install.sh "$stage/$name/install.sh"
	chmod -R u=rwX,go=rX "$stage/$name"
	tar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --format=gnu -C "$stage" -cf - "$name" |
		gzip -n9 >"$out/$name.tar.gz"
	rm -rf "$stage"
done
cd "$out"
sha256sum psi-router_"$version"_linux_*.tar.gz >SHA256SUMS
cat SHA256SUMS
