"""The check of plain English finds listed phrases in prose and ignores code."""

from pathlib import Path

import pytest

from tests import prose


def check(folder: Path, name: str, text: str) -> list[prose.Finding]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return [found for each in prose.texts(path) for found in prose.findings(each)]


@pytest.mark.parametrize(
    ("name", "text", "kind", "line"),
    [
        ("module.py", '"""Return the rows.\n\nNobody reads them.\n"""\n', "docstring", 3),
        ("module.py", 'LIMIT = 3\n"""The limit that nobody reaches."""\n', "docstring", 2),
        ("module.py", "x = 1\ny = 2  # nobody reads it\n", "comment", 2),
        ("page.md", "# Title\n\nNobody reads it.\n", "markdown", 3),
    ],
)
def test_a_listed_word_is_found_at_its_line(tmp_path: Path, name: str, text: str, kind: str, line: int) -> None:
    [found] = check(tmp_path, name, text)

    assert (found.kind, found.line, found.phrase.lower()) == (kind, line, "nobody")
    assert found.hint == "name the user, role or part"


@pytest.mark.parametrize("name", ["page.md", "module.py"])
def test_a_phrase_is_found_across_a_line_break(tmp_path: Path, name: str) -> None:
    text = "A server that goes\non after the fault.\n"

    [found] = check(tmp_path, name, text if name == "page.md" else f'"""{text}"""\n')

    assert (found.line, found.phrase) == (1, "goes on")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "The value `go on` continues.\n"),
        ("page.md", "```\nnobody\n```\n\n<!-- nobody -->\n"),
        ("page.md", "See [the list](nobody/anew.md).\n"),
        ("module.py", '"""Use ``go on`` or `anew`."""\n'),
        ("module.py", 'ANSWER = "nobody"\n'),
        ("module.py", '"""Return 0 where the value is None."""\n'),
        ("module.py", '"""Understand the bookstand of mendelevium."""\n'),
    ],
)
def test_code_and_parts_of_words_are_ignored(tmp_path: Path, name: str, text: str) -> None:
    assert check(tmp_path, name, text) == []


def test_text_after_code_keeps_its_line(tmp_path: Path) -> None:
    [found] = check(tmp_path, "page.md", "```\none\ntwo\n```\nMade anew.\n")

    assert found.line == 5


def test_the_command_lists_findings_with_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "page.md"
    path.write_text("It is built anew.\n", encoding="utf-8")

    code = prose.main([str(tmp_path)])

    listed = f"{path}:1: markdown: 'anew' in 'It is built anew.': say again, retry or new\n"
    assert (code, capsys.readouterr().out) == (1, listed)


def test_the_command_succeeds_without_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.md").write_text("It is rebuilt.\n", encoding="utf-8")

    assert (prose.main([str(tmp_path)]), capsys.readouterr().out) == (0, "")


def test_the_rate_is_given_per_top_level_folder_and_in_total(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, text in (("api", "One two three nobody."), ("domain/skills", "One two three four.")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "module.py").write_text(f'"""{text}"""\n# nobody\n', encoding="utf-8")

    code = prose.main(["--rate", "api", "domain"])

    assert code == 0
    assert capsys.readouterr().out.splitlines() == [
        "api: 250.00 per 1,000 docstring words (1 of 4)",
        "domain: 0.00 per 1,000 docstring words (0 of 4)",
        "total: 125.00 per 1,000 docstring words (1 of 8)",
    ]
