"""Measure the runtimes of MiniLM: `python -m tests.benchmarks.runtimes [TEXTS]`, by default 200 essays.

Each installed runtime embeds the same essays in a process of its own, with one thread. CPU time is that of the process,
so that other programs on the machine matter little. The cosine is the least one of an essay's vectors and PyTorch's.
The CPU time per essay is also written as JSON, for `make capacity`.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import yaml

from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from activities.adapters.minilm.runtimes import RuntimeName, installed
from deploy.local.settings import CHECKOUT
from tests.benchmarks import report

RUNTIMES: Final[tuple[RuntimeName, ...]] = ("torch", "onnx", "openvino", "onnx-int8")
BATCH: Final = 4
"""The number of essays that one call embeds."""


def essays(number: int) -> list[str]:
    """Return different essays of about 1,500 characters, made of the labelled answers in the content."""
    files = sorted((CHECKOUT / "deploy" / "content" / "questions").glob("*.yaml"))
    answers = [text for file in files for text in _texts(yaml.safe_load(file.read_text(encoding="utf-8")))]
    source = cycle(answers)
    return [f"Essay {place}. {' '.join(islice(source, 3))}"[:1_500] for place in range(number)]


def _texts(node: Any) -> list[str]:  # parsed YAML
    """Return the long texts of a tree."""
    if isinstance(node, dict):
        return [text for child in node.values() for text in _texts(child)]
    if isinstance(node, list):
        return [text for child in node for text in _texts(child)]
    return [node] if isinstance(node, str) and len(node) > 200 else []


async def measure(number: int, target: Path) -> dict[str, float]:
    """Embed the essays with the runtime in EMBEDDER_RUNTIME, and write the vectors to `target`."""
    texts = essays(number)
    process = psutil.Process()
    embedder = MiniLMEmbedder(MiniLMSettings())
    await embedder.warm()
    ready = time.process_time()
    vectors = [
        vector
        for start in range(0, number, BATCH)
        for vector in await embedder.embed_long(texts[start : start + BATCH])
    ]
    done = time.process_time()
    embedder.close()
    np.save(target, vectors)
    return {"ready_s": ready, "essay_ms": (done - ready) / number * 1000, "memory_mb": process.memory_info().rss / 1e6}


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    folder = CHECKOUT / ".local" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) > 2:  # a child: the number and the file
        sys.stdout.write(json.dumps(asyncio.run(measure(number, Path(sys.argv[2])))))
        return
    first: tuple[float, Any] | None = None
    essay_ms: dict[str, float] = {}
    line = "| {:10} | {:>12} | {:>6} | {:>10} | {:>10} | {:>12} |\n"
    sys.stdout.write(line.format("Runtime", "ms per essay", "ratio", "CPU ready s", "memory MB", "least cosine"))
    for name in filter(installed, RUNTIMES):
        target = folder / f"{name}.npy"
        ran = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.runtimes", str(number), str(target)],
            cwd=CHECKOUT,
            env=os.environ | {"EMBEDDER_RUNTIME": name, "MINILM_THREADS": "1"},
            stdout=subprocess.PIPE,
            check=True,
        )
        found = json.loads(ran.stdout.splitlines()[-1])
        essay_ms[name] = found["essay_ms"]
        vectors = np.load(target)
        first = first or (found["essay_ms"], vectors)
        cosine = (vectors * first[1]).sum(axis=1).min()
        figures = (f"{first[0] / found['essay_ms']:.2f}", f"{found['ready_s']:.1f}", f"{found['memory_mb']:.0f}")
        sys.stdout.write(line.format(name, f"{found['essay_ms']:.0f}", *figures, f"{cosine:.6f}"))
        sys.stdout.flush()
    report.say(f"Written to {report.write('runtimes', {'essay_ms': essay_ms})}")


if __name__ == "__main__":
    main()
