#!/usr/bin/env bash
# Installs promtool, which checks the alerts, into .local/bin: from Debian's package, which is unpacked only, or built by Go.
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
    # in a temporary module, because go install refuses modules with replacements
    go mod init promtool && go get "$package@$version" && go build -o "$programs/promtool" "$package"
fi
