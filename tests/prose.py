"""Check that prose is plain English: `python -m tests.prose [FILE …]` lists words that CONTRIBUTING.md asks to avoid.

Prose is docstrings, comments and Markdown. A word list cannot prove a text readable; it finds the words that made this
project's early texts hard to read. `--rate` prints the findings per 1,000 words of docstrings.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

DIALECT: Final = re.compile(
    r"\b("
    r"nobody|somebody|anybody|whoever|whomever|whom|whichever|anew|afresh|once more|let go of|lets go of|letting go of"
    r"|(?:is|are|has|have) none|none that may|beside|besides"
    r"|stands? (?:in|for|beside|behind|on|at|where|elsewhere|still|before)"
    r"|mend(?:s|ed|ing)?|unheard|tak(?:e|es|en|ing) up|took up|takes? in|goes on|go on|at hand|furnish(?:ed|es)?"
    r"|the house|the word that|bought|buys?|buying|as good as|so that one|all the same|what (?:is|was) others'"
    r"|gives? (?:it|them|its \w+) up|come to mean|strewn|at work|by itself|by themselves"
    r")\b",
    re.IGNORECASE,
)
"""Words and phrases of the former style. "buy" is allowed nowhere: a call is paid for."""
_CODE: Final = re.compile(r"```.*?```|`[^`]*`|<!--.*?-->|\[[^]]*\]\([^)]*\)", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z']+")


class Text(NamedTuple):
    line: int
    kind: str
    words: str


def main(arguments: Sequence[str]) -> int:
    """Return 1 when a text has a listed word."""
    rate = "--rate" in arguments
    paths = [Path(each) for each in arguments if each != "--rate"] or _tracked()
    found = words = 0
    for path in paths:
        for text in texts(path):
            words += len(_WORD.findall(text.words)) if text.kind == "docstring" else 0
            for hit in DIALECT.finditer(text.words):
                found += text.kind == "docstring" or not rate
                if not rate:
                    around = _around(text.words, hit)
                    sys.stdout.write(f"{path}:{text.line}: {text.kind}: {hit.group()!r} in {around}\n")
    if rate:
        sys.stdout.write(f"{1000 * found / max(1, words):.2f} per 1,000 docstring words ({found} of {words})\n")
        return 0
    return int(found > 0)


def texts(path: Path) -> Iterator[Text]:
    """The prose of a file, without code in it."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        blank = _CODE.sub(lambda code: re.sub(r"[^\n]", " ", code.group()), source)
        yield from (Text(number, "markdown", line) for number, line in enumerate(blank.splitlines(), 1))
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield Text(node.lineno, "docstring", _CODE.sub(" ", node.value.value))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], "comment", _CODE.sub(" ", token.string))


def _tracked() -> list[Path]:
    git = ["git", "ls-files", "*.py", "*.md"]
    names = subprocess.run(git, check=True, capture_output=True, text=True).stdout.splitlines()
    return [Path(name) for name in names if not name.endswith("grader_prompt.md")]


def _around(text: str, hit: re.Match[str]) -> str:
    return repr(" ".join(text[max(0, hit.start() - 30) : hit.end() + 30].split()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
