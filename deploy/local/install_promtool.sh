#!/usr/bin/env bash
# Obtains promtool, which checks the alerts: out of Debian's package, without installing that, or built by Go.
set -euo pipefail

programs=$PWD/.local/bin
version=v0.305.0

if PATH="$PATH:$programs" command -v promtool >/dev/null; then
    exit 0
fi
mkdir -p "$programs"
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
if (cd "$unpacked" && apt-get download --quiet prometheus && dpkg-deb --extract prometheus_*.deb .) >/dev/null 2>&1; then
    mv "$unpacked/usr/bin/promtool" "$programs/"
else
    echo "Building promtool $version with Go, which takes some minutes"
    GOBIN=$programs go install "github.com/prometheus/prometheus/cmd/promtool@$version"
fi
