"""Where tests with a marker are."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
MARKED = re.compile(r"\bmark\.faults\b")


def test_every_fault_test_is_in_the_folder_that_make_test_faults_collects() -> None:
    marked = [file for file in TESTS.rglob("*.py") if MARKED.search(file.read_text(encoding="utf-8"))]

    assert marked != []
    assert [file for file in marked if TESTS / "faults" not in file.parents] == []
