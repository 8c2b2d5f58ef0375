#!/usr/bin/env bash
# Extract the texts of the web pages into a template, merge them into each translation, and compile the translations.
# To add a language: .venv/bin/pybabel init -i api/pages/locales/messages.pot -d api/pages/locales -l LANGUAGE
set -euo pipefail

folder=api/pages/locales
mapping=$(mktemp)
trap 'rm -f "$mapping"' EXIT
printf '[python: **.py]\n[jinja2: **/templates/**.html]\ntrimmed = true\n' > "$mapping"

.venv/bin/pybabel -q extract --keyword=mark --sort-by-file --no-location --omit-header \
    --mapping="$mapping" --output="$folder/messages.pot" api/pages
for catalogue in "$folder"/*/LC_MESSAGES/messages.po; do
    [ -e "$catalogue" ] || continue
    .venv/bin/pybabel -q update --no-fuzzy-matching --ignore-obsolete --omit-header --input-file="$folder/messages.pot" \
        --output-dir="$folder" --locale="$(basename "$(dirname "$(dirname "$catalogue")")")"
    .venv/bin/pybabel -q compile --directory="$folder" --locale="$(basename "$(dirname "$(dirname "$catalogue")")")"
done
