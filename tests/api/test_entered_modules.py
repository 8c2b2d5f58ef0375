"""The own modules that one submission enters. A reader who follows a request has to open each of them."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.api.conftest import Api, Person, response_to

ROOT = Path(__file__).parents[2]
MOST = 45
PRODUCT = ("activities", "api", "domain", "persistence", "workflows")


@contextmanager
def entered_modules() -> Iterator[set[str]]:
    """Collect the product modules whose functions run inside the block, in any thread."""
    entered: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PRODUCT:
            entered.add(f"{path.relative_to(ROOT)}")

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield entered
    finally:
        sys.setprofile(before)
        threading.setprofile(before)


async def test_a_submission_enters_few_modules(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    responses = [response_to(question) for question in started["questions"]]
    await api.start(await api.person())  # whatever is done once per process is done

    with entered_modules() as entered:
        answer = await api.send(learner, started["assessment_id"], *responses, completed=True)

    assert answer.status_code == 202
    assert len(entered) <= MOST, sorted(entered)
