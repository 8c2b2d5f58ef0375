"""The weight of a page with everything that it loads, compressed as a proxy compresses it."""

import gzip
import re
from typing import Final

import pytest

from api.pages.rendering import STATIC
from tests.api.conftest import Api, Person, question_of
from tests.api.test_items import graded
from tests.pages.conftest import Browser
from tests.support import answers
from tests.support.builders import ROLE_ID

MAX_BYTES: Final = 100_000
LOADED: Final = re.compile(r'(?:src|href)="/static/([^?"]+)')
LONG: Final = "I compare the sums before and after the join, as a payment in three parts shows it three times. " * 18
"""As many words as the longest essay may have."""


def weight(page: str) -> int:
    files = [page.encode(), *((STATIC / name).read_bytes() for name in set(LOADED.findall(page)))]
    return sum(len(gzip.compress(each)) for each in files)


@pytest.fixture
async def paths(api: Api, student: Person) -> list[str]:
    """The pages of a student with a graded assessment, whose essays are long, and with an open one."""
    graded_one = await api.start(student)
    responses = [answers.response_to(each, LONG) for each in graded_one["questions"]]
    sent = await api.send(student, graded_one["assessment_id"], *responses, completed=True)
    assert sent.status_code == 202, sent.text
    await api.publish(graded_one["assessment_id"], **graded(question_of(graded_one, "text")))
    open_one = await api.start(student)
    base = f"/learn/assessments/{open_one['assessment_id']}"
    numbers = range(1, len(open_one["questions"]) + 1)
    return [
        "/learn",
        f"/learn/roles/{ROLE_ID}",
        base,
        f"{base}/hand-in",
        f"/assessments/{graded_one['assessment_id']}/result",
        f"/learn/assessments/{graded_one['assessment_id']}/progress",
        *(f"{base}/questions/{number}" for number in numbers),
    ]


async def test_every_page_of_a_student_is_light(signed_in: Browser, paths: list[str]) -> None:
    pages = {path: await signed_in.open(path) for path in paths}

    assert {page.status_code for page in pages.values()} == {200}
    assert {path: weight(page.text) for path, page in pages.items() if weight(page.text) >= MAX_BYTES} == {}
