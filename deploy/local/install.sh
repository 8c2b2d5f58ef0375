#!/usr/bin/env bash
# Makes .venv and installs the project with all it needs. Called by make, in the checkout.
# PYTHON: the interpreter to make .venv with. TORCH_INDEX: a package index to take torch from, may be empty.
set -Eeuo pipefail  # E: the trap below holds in functions too

python=.venv/bin/python
log=.local/logs/install.log

make_venv() {
    if ! "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        echo "Python 3.11, 3.12 or 3.13 is needed; $PYTHON is $("$PYTHON" --version 2>/dev/null || echo "not there")."
        echo "Name one that is, for example: make $GOAL PYTHON=python3.12"
        exit 1
    fi
    echo "Making .venv with $("$PYTHON" --version)"
    "$PYTHON" -m venv --clear .venv
}

# Everything pip says goes to the log; the terminal gets the large files and the last phase.
install() {
    "$python" -m pip install --disable-pip-version-check --no-input --progress-bar off -c constraints.txt "$@" 2>&1 |
        tee -a "$log" |
        awk '/^ *(Downloading|Using cached) .*\([0-9.]+ [MG]B\)/ { sub(/^ */, "  "); sub(/[^ ]*\//, ""); print; fflush() }
             /^Installing collected packages/ { print "  Installing"; fflush() }'
}

failed() {
    echo "The installation failed. The end of $log:"
    tail -n 20 "$log" | sed 's/^/  /'
}

"$python" -m pip --version >/dev/null 2>&1 || make_venv
mkdir -p "$(dirname "$log")"
: >"$log"
trap failed ERR
echo "Installing into .venv. The first time takes minutes: torch alone is hundreds of megabytes."
echo "To follow: tail -f $log"
if [[ -n ${TORCH_INDEX:-} ]]; then
    echo "Taking torch from $TORCH_INDEX"
    install --no-deps --index-url "$TORCH_INDEX" torch
fi
install -e '.[local,dev]'
