"""Extract the prose of an answer: its text without code, terminal output, data and quotations."""

import re
from typing import Final

_FENCED: Final = re.compile(r"^[ ]{0,3}(```|~~~).*?^[ ]{0,3}\1[`~]*", re.DOTALL | re.MULTILINE)
_NOT_PROSE: Final = re.compile(
    r" {4}"  # indented code
    r"|\s*(?:"
    r"[$%>]\s|[\w.-]{1,40}@[\w.-]{1,40}[:~ ].{0,80}?[$#]\s|PS [A-Z]:"  # shell prompts
    r"|[{}\]|]|\[[\d\"{\[]"  # JSON, table rows, bracketed log times
    r"|[\"'][\w.-]{1,40}[\"']\s?:"  # a member of a JSON object
    r"|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|[a-z]{3} [ \d]\d \d\d:\d\d"  # the time of a log line
    r"|\[?(?:trace|debug|info|notice|warn|warning|error|fatal|critical)\b[\]:]"
    r")"
    r"|.*[;{]\s*$",  # a statement
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(
    r"`[^`\n]{1,400}`|\"[^\"\n]{1,400}\"|“[^“”\n]{1,400}”|„[^„“”\n]{1,400}[“”]|«[^«»\n]{1,400}»|‘[^‘’\n]{1,400}’"
    r"|(?<!\w)'[^'\n]{3,400}'(?!\w)"
)


def prose(text: str) -> str:
    """Return the text without code, log lines, JSON, terminal output and quotations."""
    lines = _FENCED.sub("", text).split("\n")
    return "\n".join(_QUOTED.sub(" ", line) for line in lines if not _NOT_PROSE.match(line))
