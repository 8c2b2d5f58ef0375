#!/usr/bin/env bash
# Fetch the scripts of other projects from the npm registry: those of the pages, and axe-core for their tests.
# Versions and hashes are pinned. To update one, change both and run `make vendor`.
set -euo pipefail

# fetch PACKAGE VERSION SHA512 FOLDER FILE...: copy files of a package to a folder, under their own names
fetch() {
  local package=$1 version=$2 sha512=$3 folder=$4 work archive
  shift 4
  work=$(mktemp -d)
  archive=$(npm pack --silent --ignore-scripts --pack-destination "$work" "$package@$version")
  if [ "$(openssl dgst -sha512 -binary "$work/$archive" | base64 -w 0)" != "$sha512" ]; then
    echo "The archive of $package@$version does not have the pinned hash." >&2
    exit 1
  fi
  tar -xzf "$work/$archive" -C "$work"
  mkdir -p "$folder"
  for file in "$@"; do
    cp "$work/package/${file%%:*}" "$folder/${file##*:}"
  done
  rm -rf "$work"
  echo "$package $version"
}

case "${1:-pages}" in
  pages)
    fetch htmx.org 2.0.11 \
      Thx/WtpeOQqSrqBCw/A1cwGJGg4UrVa3+sW0GmrM3p4gJgO89ecH4qtbnyzDDWFvBTqjnIMCgELTNt636dtamA== \
      api/pages/static/vendor dist/htmx.min.js:htmx.min.js LICENSE:htmx.LICENSE.txt
    ;;
  tests)
    fetch axe-core 4.14.1 \
      FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ== \
      .local/vendor axe.min.js:axe.min.js LICENSE:axe.LICENSE.txt
    ;;
esac
