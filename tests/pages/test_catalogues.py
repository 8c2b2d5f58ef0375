"""Every text of the pages goes through a catalogue, and every catalogue is complete."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import nodes

from api.pages.rendering import STATIC, environment, template_names
from api.services.use_cases import require
from deploy.local import messages
from deploy.local.messages import PAGES, catalogues, extracted, mismatches, name_of, read, untranslated
from domain import errors

LETTERS = re.compile(r"[^\W\d_]{2,}")
SENTENCE = re.compile(r"[A-Z][a-z']+( [\w,'’“”():%-]+)+[.?!…]?")
MARKERS = {"_", "gettext", "ngettext", "pgettext", "npgettext", "mark"}
NAMES = {"microcred", "ms"}
"""Texts that are the same in every language."""
LITERAL_ELEMENTS = {"script", "style", "code", "kbd", "pre"}
READ_ALOUD = {"alt", "aria-label", "content", "placeholder", "title"}
"""Attributes with texts for people. `content` is one only for descriptions, which the pages do not have."""
VALUE = "\ufffc"
"""Replaces the value of an expression."""
PROGRAMS = sorted(STATIC.glob("*.js"))
SOURCES = sorted(each for each in PAGES.rglob("*.py") if each.name != "problem_texts.py")
"""Python code of the pages. `problem_texts.py` names messages that it replaces."""


def check(found: list[str], advice: str) -> None:
    """Fail with all that was found, one a line."""
    if found:
        pytest.fail("\n  ".join([advice, *found]), pytrace=False)


@pytest.mark.parametrize("language", catalogues())
def test_a_catalogue_has_each_message_of_the_pages(language: str) -> None:
    known = {(each.context, each.id) for each in messages.messages(read(language))}

    missing = [name_of(each) for each in messages.messages(extracted()) if (each.context, each.id) not in known]

    check(missing, f"Run `make messages` and translate these messages for {language}:")


@pytest.mark.parametrize("language", catalogues())
def test_a_catalogue_has_no_message_that_the_pages_do_not_use(language: str) -> None:
    used = {(each.context, each.id) for each in messages.messages(extracted())}
    catalogue = read(language)

    unused = [name_of(each) for each in messages.messages(catalogue) if (each.context, each.id) not in used]

    check(unused + [name_of(each) for each in catalogue.obsolete.values()], "Run `make messages` to remove these:")


@pytest.mark.parametrize("language", catalogues())
def test_each_message_has_a_translation_that_is_not_marked_as_uncertain(language: str) -> None:
    check(untranslated(read(language)), f"Translate these messages for {language}:")


@pytest.mark.parametrize("language", catalogues())
def test_a_translation_has_the_placeholders_of_its_message(language: str) -> None:
    check(list(mismatches(read(language))), "These translations have other placeholders, or other percent signs:")


@pytest.mark.parametrize("language", catalogues())
def test_a_translation_has_no_markup(language: str) -> None:
    """Templates do not escape translations."""
    catalogue = messages.messages(read(language))

    check([name_of(each) for each in catalogue if re.search("[<>&]", str(each.string))], "Remove markup from these:")


@pytest.mark.parametrize("template", list(template_names()))
def test_a_template_has_no_text_outside_of_the_catalogues(template: str) -> None:
    tree = environment().parse(source_of(template))
    reader = TextReader()
    reader.feed("".join(rendered(tree)))
    reader.close()

    check([*reader.texts, *literals(tree)], f"Wrap these texts of {template} in _():")


@pytest.mark.parametrize("source", SOURCES, ids=lambda each: str(each.relative_to(PAGES)))
def test_python_code_of_the_pages_has_no_text_outside_of_the_catalogues(source: Path) -> None:
    check(list(sentences(ast.parse(source.read_text()))), f"Wrap these texts of {source.name} in gettext() or mark():")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda each: str(each.name))
def test_a_script_has_no_text_of_its_own(program: Path) -> None:
    code = re.sub(r"^\s*//.*$|\s// .*$", "", program.read_text(), flags=re.MULTILINE)

    found = [text for text in re.findall(r"\"([^\"\n]*)\"|'([^'\n]*)'|`([^`]*)`", code) for text in text if text]

    check([each for each in found if SENTENCE.fullmatch(each)], "Pass these texts as data attributes of the template:")


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ("<p>{{ _('Hello') }}</p>", []),
        ("<p class='{{ x }} notice'>{% if x %}{{ x }}{% else %}none{% endif %}</p>", ["none"]),
        ("<img alt='A picture'>", ["A picture"]),
        ("{{ field('name', 'Your name') }}", ["Your name"]),
        ("{{ status_tag('good', _('Ready')) }}<code>x-id</code><style>body</style>", []),
    ],
)
def test_a_text_outside_of_the_catalogues_is_found(template: str, found: list[str]) -> None:
    tree = environment().parse(template)
    reader = TextReader()
    reader.feed("".join(rendered(tree)))
    reader.close()

    assert [*reader.texts, *literals(tree)] == found


class TextReader(HTMLParser):
    """Collect what a template says to people: text between tags, and attributes that are read aloud or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_code = tag in LITERAL_ELEMENTS or "code" in (given.get("class") or "").split()
        self._open.append((tag, is_code))
        if tag != "meta":
            for name in READ_ALOUD & given.keys():
                self._add(given[name] or "")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(is_code for _, is_code in self._open):
            self._add(data)

    def _add(self, text: str) -> None:
        words = text.replace(VALUE, " ").split()
        if LETTERS.search(" ".join(each for each in words if each.strip(".,:–") not in NAMES)):
            self.texts.append(" ".join(words))


def source_of(template: str) -> str:
    return (PAGES / "templates" / template).read_text()


def rendered(node: nodes.Node) -> Iterator[str]:
    """Yield the text of a template in its order, with a mark for each value. The block `width` is a class."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.TemplateData):
            yield child.data
        elif isinstance(child, nodes.Expr):
            yield VALUE
        elif not (isinstance(child, nodes.Block) and child.name == "width"):
            yield from rendered(child)


def literals(node: nodes.Node) -> Iterator[str]:
    """Yield sentences and words with a capital letter that an expression passes on as they are."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Call) and isinstance(child.node, nodes.Name) and child.node.name in MARKERS:
            continue
        if isinstance(child, nodes.Const) and isinstance(child.value, str) and SENTENCE.fullmatch(child.value):
            yield child.value
        yield from literals(child)


def sentences(tree: ast.AST) -> Iterator[str]:
    """Yield sentences in code. Errors of the domain are left out: `problem_texts` translates them."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute | ast.Name):
            name = child.func.attr if isinstance(child.func, ast.Attribute) else child.func.id
            if name in MARKERS or name == require.__name__ or hasattr(errors, name):
                continue
        if isinstance(child, ast.Raise) or (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            continue  # an error of the domain, or a docstring
        if isinstance(child, ast.Constant) and isinstance(child.value, str) and SENTENCE.fullmatch(child.value):
            yield child.value
        yield from sentences(child)
