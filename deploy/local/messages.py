"""`python -m deploy.local.messages [LANGUAGE]`: merge the texts of the web pages into their translations.

With a language, its catalogue is created first. New messages get an empty translation, unused ones are removed.
"""

import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from deploy.local.settings import CHECKOUT

PAGES: Final = CHECKOUT / "api" / "pages"
CATALOGUES: Final = PAGES / "locales"
_METHODS: Final = [("**.py", "python"), ("templates/**.html", "jinja2")]
_OPTIONS: Final = {"templates/**.html": {"trimmed": "true", "silent": "false"}}
_HEADER: Final = "# Texts of the web pages. `make messages` updates this file."
_PLACEHOLDER: Final = re.compile(r"%(?:\(\w+\)\w)?|\{\w+\}")


def extracted() -> Catalog:
    """Return the messages of the templates and of the Python code of the pages, in the order of the files."""
    found = Catalog()
    keywords = {**DEFAULT_KEYWORDS, "mark": None}
    for _file, _line, message, comments, context in extract_from_dir(
        PAGES, _METHODS, _OPTIONS, keywords, comment_tags=("Translators:",), strip_comment_tags=True
    ):
        found.add(message, auto_comments=comments, context=context)
    return found


def catalogues() -> dict[str, Path]:
    """Return the file of each language."""
    return {each.parents[1].name: each for each in sorted(CATALOGUES.glob("*/LC_MESSAGES/messages.po"))}


def read(language: str) -> Catalog:
    with catalogues()[language].open("rb") as file:
        return read_po(file, locale=language)


def name_of(message: Message) -> str:
    """Return the English text, with its context in brackets."""
    text = message.id if isinstance(message.id, str) else message.id[0]
    return f"[{message.context}] {text}" if message.context else str(text)


def untranslated(catalogue: Catalog) -> list[str]:
    """Return the messages without a translation, or with one that is marked as uncertain."""
    return [name_of(each) for each in messages(catalogue) if each.fuzzy or not all(_texts(each.string))]


def mismatches(catalogue: Catalog) -> Iterator[str]:
    """Yield the messages whose translation has other placeholders, or another number of percent signs."""
    for each in messages(catalogue):
        allowed = [sorted(_PLACEHOLDER.findall(text)) for text in _texts(each.id)]
        if any(sorted(_PLACEHOLDER.findall(text)) not in allowed for text in _texts(each.string) if text):
            yield name_of(each)


def messages(catalogue: Catalog) -> list[Message]:
    """Return the messages of a catalogue, without its header."""
    return [each for each in catalogue if each.id]


def update(language: str) -> list[str]:
    """Merge the extracted messages into a catalogue. Return the messages without a translation."""
    catalogue = read(language)
    catalogue.update(extracted(), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    _write(catalogue, catalogues()[language])
    return untranslated(catalogue)


def create(language: str) -> None:
    path = CATALOGUES / language / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True)
    _write(Catalog(locale=language, header_comment=_HEADER), path)


def _write(catalogue: Catalog, path: Path) -> None:
    """Write a catalogue with a short header, without dates and versions, so that only messages change the file."""
    body = BytesIO()
    write_po(body, catalogue, width=0, no_location=True, omit_header=True, ignore_obsolete=True)
    fields = {
        "Language": catalogue.locale,
        "Content-Type": "text/plain; charset=utf-8",
        "Plural-Forms": catalogue.plural_forms,
    }
    lines = [
        catalogue.header_comment,
        'msgid ""',
        'msgstr ""',
        *(f'"{key}: {each}\\n"' for key, each in fields.items()),
    ]
    path.write_bytes("\n".join([*lines, "", ""]).encode() + body.getvalue())


def _texts(value: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    """Return the texts of a message: one, or one for each plural form. None is a missing translation."""
    return (value or "",) if value is None or isinstance(value, str) else tuple(value)


def main() -> None:
    for language in sys.argv[1:]:
        create(language)
    for language in catalogues():
        missing = update(language)
        lines = [f"{language}: {len(missing)} messages without a translation", *(f"  {each}" for each in missing)]
        sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
