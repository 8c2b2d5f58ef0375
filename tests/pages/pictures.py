"""Make the pictures of docs/pages.md and of the README: `make pictures`, next to a running `make up DEMO=on`.

`PICTURES` has a line for each picture. A page that does not answer 200 gets no picture, and the exit code is 1.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

import yaml
from playwright.sync_api import Browser, Page

from deploy.local.demo import ANSWERS
from deploy.local.demo_client import Account, Demo, get, say, signed_in, start
from deploy.local.demo_learners import load_cohort
from deploy.local.settings import CHECKOUT
from domain.ids import derived_id
from tests.pages.chromium import launch

FOLDER: Final = CHECKOUT / "docs" / "pictures"
MAX_BYTES: Final = 150_000
WAIT_MS: Final = 120_000
WIDTH: Final = 1280
ANSWERED: Final = 9
"""How many questions the student has answered in the picture of a question."""


class SignIn(StrEnum):
    """The account that sees the page. `LEARNER` is the first learner of the cohort, who has finished two attempts."""

    STUDENT = "student"
    LEARNER = "learner"
    ADVISOR = "advisor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as one account sees it.

    `path` may contain `{open}`, the student's open assessment, `{finished}`, the learner's last one, and `{essay}`, an
    essay that the advisor has claimed for a review.
    """

    name: str
    sign_in: SignIn
    path: str
    scheme: str = "light"
    height: int = 800


PICTURES: Final = (
    Picture("readme", SignIn.LEARNER, "/assessments/{finished}/result#skills-heading"),
    Picture("student-question", SignIn.STUDENT, "/learn/assessments/{open}/questions/2"),
    Picture("student-result", SignIn.LEARNER, "/assessments/{finished}/result#courses-heading", "dark"),
    Picture("advisor-overview", SignIn.ADVISOR, "/overview"),
    Picture("advisor-desk", SignIn.ADVISOR, "/reviews/items/{essay}", height=600),
    Picture("admin-people", SignIn.ADMIN, "/admin/people", height=600),
    Picture("admin-webhooks", SignIn.ADMIN, "/admin/deliveries"),
)


def main() -> int:
    program = shutil.which("chromium")
    if program is None:
        say("Chromium is missing: run `make browser`.")
        return 1
    demo = Demo.of(os.environ)
    learner = load_cohort().learners[0]
    accounts = {
        SignIn.STUDENT: demo.student,
        SignIn.LEARNER: Account(email=learner.email, password=demo.student.password),
        SignIn.ADVISOR: demo.advisor,
        SignIn.ADMIN: demo.admin,
    }
    ids = asyncio.run(_prepare(demo, accounts))
    FOLDER.mkdir(exist_ok=True)
    with launch(program) as browser:
        drawn = [_draw(browser, demo.api_url, accounts[each.sign_in], each, ids) for each in PICTURES]
    return 0 if all(drawn) else 1


async def _prepare(demo: Demo, accounts: Mapping[SignIn, Account]) -> dict[str, str]:
    """Let the student answer a part of an assessment and the advisor claim an essay. Return the ids for the paths."""
    script = yaml.safe_load(ANSWERS.read_text(encoding="utf-8"))
    by_id = {str(derived_id("question", key)): answer for key, answer in script["answers"].items()}
    async with signed_in(demo.api_url, accounts[SignIn.STUDENT]) as http:
        open_id, questions = await start(http, derived_id("role", script["role"]))
        keys = [each["question_id"] for each in questions if each["question_id"] in by_id][:ANSWERED]
        body = {"responses": [{"question_id": key, "answer": by_id[key]} for key in keys]}
        (await http.post(f"/assessments/{open_id}/responses", json=body)).raise_for_status()
    async with signed_in(demo.api_url, accounts[SignIn.LEARNER]) as http:
        finished = (await get(http, "/assessments", status="completed"))["items"]
    async with signed_in(demo.api_url, accounts[SignIn.ADVISOR]) as http:
        for held in (await get(http, "/reviews/claims"))["items"]:
            (await http.delete(f"/reviews/claims/{held['claim_id']}")).raise_for_status()
        waiting = (await get(http, "/reviews/queue"))["items"]
        item = next(each for each in waiting if "appealed" not in each["reasons"])  # an appeal has a page of its own
        claim = (await http.post("/reviews/claims", json={"item_id": item["item_id"]})).raise_for_status().json()
    return {"open": open_id, "finished": finished[0]["assessment_id"], "essay": claim["claim_id"]}


def _draw(browser: Browser, url: str, account: Account, picture: Picture, ids: Mapping[str, str]) -> bool:
    """Write the picture. Return False, after a message, if the page does not exist or the file is too large."""
    context = browser.new_context(base_url=url, locale="en-GB", viewport={"width": WIDTH, "height": picture.height})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if picture.scheme == "dark" else "light", reduced_motion="reduce")
    _sign_in(page, account)
    path = picture.path.format(**ids)
    answer = page.goto(path, wait_until="load")
    if answer is None or answer.status != HTTPStatus.OK:
        say(f"{picture.name}: {path} answers {answer and answer.status}. No picture.")
        return False
    file = FOLDER / f"{picture.name}.png"
    size = len(page.screenshot(path=file))
    context.close()
    say(f"{file.relative_to(CHECKOUT)}: {size // 1000} kB" + " is too large" * (size > MAX_BYTES))
    return size <= MAX_BYTES


def _sign_in(page: Page, account: Account) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(account.email)
    page.get_by_label("Password").fill(account.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda now: not now.endswith("/sign-in"))


if __name__ == "__main__":
    sys.exit(main())
