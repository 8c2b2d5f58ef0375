#!/usr/bin/env bash
# Obtains promtool, which checks the alerts: out of Debian's package, without installing that, or built by Go.
set -euo pipefail

programs=$PWD/.local/bin
package=github.com/prometheus/prometheus/cmd/promtool
version=v0.316.0

if PATH="$PATH:$programs" command -v promtool >/dev/null; then
    exit 0
fi
mkdir -p "$programs"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
if { apt-get download --quiet prometheus && dpkg-deb --extract prometheus_*.deb .; } >/dev/null 2>&1; then
    mv usr/bin/promtool "$programs/"
else
    echo "Building promtool $version with Go, which takes some minutes"
    # in a module of its own: go install refuses one with replacements
    go mod init promtool && go get "$package@$version" && go build -o "$programs/promtool" "$package"
fi
