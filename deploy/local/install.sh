#!/usr/bin/env bash
# Creates .venv and installs the project with all dependencies. Called by make in the checkout.
# PYTHON: the interpreter for .venv. TORCH_INDEX: a package index for torch; may be empty.
#
# On Linux the default torch requires 4 GB of CUDA libraries that a CPU never uses. The script uses the first that works:
#   1. TORCH_INDEX, if it is set
#   2. PyTorch's index of CPU builds, if it answers within 3 s
#   3. the default torch without any CUDA package
#   4. the default torch with the CUDA libraries that it links to, without the compiler triton
#   5. the default torch with all packages that it requires
set -Eeuo pipefail  # E: the trap below applies in functions, too

cpu_index=https://download.pytorch.org/whl/cpu
python=.venv/bin/python
log=.local/logs/install.log

make_venv() {
    if ! "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        echo "Python 3.11, 3.12 or 3.13 is needed; $PYTHON is $("$PYTHON" --version 2>/dev/null || echo "not installed")."
        echo "Set another interpreter, for example: make $GOAL PYTHON=python3.12"
        exit 1
    fi
    echo "Creating .venv with $("$PYTHON" --version)"
    "$PYTHON" -m venv --clear .venv
}

# Write pip's output to the log. The terminal shows the large files and the last phase only.
install() {
    "$python" -m pip install --disable-pip-version-check --no-input --progress-bar off -c constraints.txt "$@" 2>&1 |
        tee -a "$log" |
        awk '/^ *(Downloading|Using cached) .*\([0-9.]+ [MG]B\)/ { sub(/^ */, "  "); sub(/[^ ]*\//, ""); print; fflush() }
             /^Installing collected packages/ { print "  Installing"; fflush() }'
}

everything() {
    install -e '.[local,dev]'
}

torch_from() {
    echo "Installing torch from $1"
    install --no-deps --index-url "$1" torch
}

answers() {
    timeout 3 "$python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])' "$1/torch/" >/dev/null 2>&1
}

embeds() {
    "$python" -c 'import asyncio
from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
asyncio.run(MiniLMEmbedder(MiniLMSettings(EMBEDDER_RUNTIME="torch")).warm())' >>"$log" 2>&1
}

# Print the libraries that torch requires, without triton and the bindings, which compile and call GPU kernels.
cuda_libraries() {
    "$python" -c 'import re; from importlib.metadata import requires
print(*(each.partition(";")[0].strip() for each in requires("torch") if re.match("nvidia-|cuda-toolkit", each)))'
}

# constraints.txt names all packages except those of CUDA. With --no-deps torch does not install them.
torch_without_cuda() {
    echo "PyTorch's index of CPU builds does not answer. Trying the default torch without CUDA."
    install --no-deps -r constraints.txt -e .
    embeds && return
    echo "This torch needs its CUDA libraries, several gigabytes. To avoid them, set TORCH_INDEX to an index of CPU builds."
    local libraries
    read -ra libraries <<<"$(cuda_libraries)"
    if [[ ${#libraries[@]} -gt 0 ]]; then install "${libraries[@]}"; fi
    embeds && return
    echo "This torch needs all packages that it requires."
    everything
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
    torch_from "$TORCH_INDEX"
    everything
elif [[ $(uname -s) != Linux ]]; then
    everything  # the default torch is a CPU build there
elif answers "$cpu_index"; then
    torch_from "$cpu_index"
    everything
else
    torch_without_cuda
fi
echo "Exporting MiniLM"  # otherwise the first worker does it
"$python" -m activities.adapters.minilm.export >>"$log" 2>&1 || echo "MiniLM is not exported: see $log. PyTorch runs it."
