"""Check that prose is plain English: `python -m tests.prose [--rate] [FILE or FOLDER …]`.

Prose is docstrings, comments and Markdown, without the code in them. By default, the program lists each word and phrase
to avoid, with a hint, and exits with 1 if it found any. With `--rate`, it prints the findings per 1,000 docstring words
instead, for each top-level folder and in total. Without paths, it checks every tracked file.

A word list cannot prove that a text is readable. It only finds the phrases that made early texts hard to read.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

HINTS: Final = {
    "nobody|somebody|anybody|whoever|whomever|whom|whichever": "name the user, role or part",
    "anew|afresh|once more": "say again, retry or new",
    "let go of|lets go of|letting go of|gives? (?:it|them|its \\w+) up": "say delete, release or cancel",
    "(?:is|are|has|have) (?-i:none)|none that may": "say what is true instead of what is not",
    "beside|besides": "say next to, with or also",
    "stands? (?:in|for|beside|behind|on|at|where|elsewhere|still|before)": "say is, replaces or means",
    "mend(?:s|ed|ing)?": "say repair, fix or synchronize",
    "unheard": "say what was not received",
    "tak(?:e|es|en|ing) up|took up|takes? in": "say start, accept or read",
    "goes on|go on": "say continue",
    "at hand|at work": "say available, current or running",
    "furnish(?:ed|es)?": "say provide, provision or seed",
    "the house": "name the system",
    "the word that": "name the message or value",
    "bought|buys?|buying": "say pay for or complete",
    "as good as": "say almost or equal to",
    "so that one": "repeat the noun",
    "all the same": "say anyway or equal",
    "what (?:is|was) others'": "name the third party",
    "come to mean": "say mean",
    "strewn": "say scattered or in a different order",
    "by itself|by themselves": "say automatically or alone",
}
"""Words and phrases to avoid (regular expressions), and what to write instead."""
PROMPTS: Final = ("grader_prompt.md",)
"""Files for a language model instead of people."""

_DIALECT: Final = re.compile(
    "|".join(rf"(?P<h{n}>\b(?:{words})\b)" for n, words in enumerate(HINTS)).replace(" ", r"\s+"), re.IGNORECASE
)
_CODE: Final = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)|<!--.*?-->|(?<=\])\([^)]*\)", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z']+")


class Text(NamedTuple):
    """A piece of prose that starts at `line` of its file; code in it is blank."""

    line: int
    kind: str
    words: str


class Finding(NamedTuple):
    """A listed phrase at `line` of its file."""

    line: int
    kind: str
    phrase: str
    context: str
    hint: str


def main(arguments: Sequence[str]) -> int:
    """Print the findings or the rates. Return 1 if there are findings, and 0 with `--rate`."""
    paths = _files([Path(each) for each in arguments if each != "--rate"])
    if "--rate" in arguments:
        _print_rates(paths)
        return 0
    clean = True
    for path in paths:
        for each in (found for text in texts(path) for found in findings(text)):
            clean = False
            sys.stdout.write(f"{path}:{each.line}: {each.kind}: {each.phrase!r} in {each.context!r}: {each.hint}\n")
    return int(not clean)


def findings(text: Text) -> Iterator[Finding]:
    """Find the listed phrases of a text."""
    for hit in _DIALECT.finditer(text.words):
        around = text.words[max(0, hit.start() - 30) : hit.end() + 30]
        yield Finding(
            line=text.line + text.words.count("\n", 0, hit.start()),
            kind=text.kind,
            phrase=" ".join(hit.group().split()),
            context=" ".join(around.split()),
            hint=tuple(HINTS.values())[int(str(hit.lastgroup)[1:])],
        )


def texts(path: Path) -> Iterator[Text]:
    """Read the prose of a Python or Markdown file."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield Text(1, "markdown", _without_code(source))
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield Text(node.lineno, "docstring", _without_code(node.value.value))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], "comment", _without_code(token.string))


def _without_code(text: str) -> str:
    """Replace code spans, fenced code, HTML comments and link targets by blanks; keep the line breaks."""
    return _CODE.sub(lambda code: re.sub(r"[^\n]", " ", code.group()), text)


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the files of `paths`, or the tracked files."""
    if not paths:
        git = ["git", "ls-files", "*.py", "*.md"]
        tracked = subprocess.run(git, check=True, capture_output=True, text=True).stdout
        paths = [Path(name) for name in tracked.splitlines()]
    found = [each for path in paths for each in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [each for each in found if each.suffix in {".py", ".md"} and each.name not in PROMPTS]


def _print_rates(paths: Sequence[Path]) -> None:
    """Print the findings per 1,000 docstring words for each top-level folder and in total."""
    found, words = Counter[str](), Counter[str]()
    for path in paths:
        for text in texts(path):
            if text.kind == "docstring":
                for name in (path.parts[0] if len(path.parts) > 1 else ".", "total"):
                    found[name] += sum(1 for _ in findings(text))
                    words[name] += len(_WORD.findall(text.words))
    for name in [*sorted(words.keys() - {"total"}), "total"]:
        rate = 1000 * found[name] / max(1, words[name])
        sys.stdout.write(f"{name}: {rate:.2f} per 1,000 docstring words ({found[name]} of {words[name]})\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
