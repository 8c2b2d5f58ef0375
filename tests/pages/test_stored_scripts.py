"""Scripts in names, answers, catalogue texts and model replies are shown as text, and never run."""

import html
from typing import Any

import pytest
from sqlalchemy import update

from persistence.tables import CredentialRow, ResultRevisionRow, RoleRow
from tests.api.conftest import Api, Person, question_of, response_to
from tests.pages.conftest import Browser
from tests.support.builders import ROLE_ID

CORPUS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "' autofocus onfocus='alert(1)",
    "javascript:alert(1)",
    "{{ 71911 * 7 }}{% raw %}",
    "${alert(1)}",
    "<!--<textarea></textarea>",
    "\u202egnirts desrever",
    "</textarea><script>alert(1)</script>",
)


def replaced(value: Any, text: str) -> Any:
    """Return the document with its free texts replaced."""
    free = {"summary", "title", "rationale", "snippet", "explanation", "feedback", "skill", "source_uri", "level"}
    match value:
        case dict():
            return {
                key: text if key in free and isinstance(each, str) else replaced(each, text)
                for key, each in value.items()
            }
        case list():
            return [replaced(each, text) for each in value]
        case _:
            return value


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
async def test_an_answer_is_shown_as_text(api: Api, signed_in: Browser, student: Person, text: str) -> None:
    started = await api.start(student)
    question = question_of(started, "text")
    await api.send(student, started["assessment_id"], response_to(question) | {"answer": text})
    number = started["questions"].index(question) + 1

    page = (await signed_in.open(f"/learn/assessments/{started['assessment_id']}/questions/{number}")).text

    assert f">{html.escape(text, quote=True).replace('&#x27;', '&#39;').replace('&quot;', '&#34;')}</textarea>" in page
    assert page.count("<script") == page.count('<script type="module" src="/static/') + page.count(
        '<script src="/static/'
    )


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
async def test_texts_of_a_result_are_shown_as_text(api: Api, signed_in: Browser, student: Person, text: str) -> None:
    publication = await api.completed(student)
    async with api.sessions() as session:
        row = ResultRevisionRow
        found = row.assessment_id == publication.assessment_id
        document = (await api.get(student, f"/assessments/{publication.assessment_id}/result")).json()
        await session.execute(update(row).where(found).values(document=replaced(document, text)))
        await session.commit()

    page = (await signed_in.open(f"/assessments/{publication.assessment_id}/result")).text

    assert page.count("<script") == page.count('<script type="module" src="/static/') + page.count(
        '<script src="/static/'
    )
    assert "<img src=x" not in page
    assert "<svg onload" not in page
    assert 'href="javascript:' not in page
    assert str(71911 * 7) not in page


async def test_a_role_and_a_credential_from_the_catalogue_are_shown_as_text(
    api: Api, signed_in: Browser, student: Person
) -> None:
    publication = await api.completed(student)
    async with api.sessions() as session:
        before = await session.get(RoleRow, ROLE_ID)
        assert before is not None
        name = before.name
        await session.execute(update(RoleRow).where(RoleRow.id == ROLE_ID).values(name=CORPUS[0]))
        provider = update(CredentialRow).where(CredentialRow.id == api.credentials[0]).values(provider=CORPUS[1])
        await session.execute(provider)
        await session.commit()

    pages = [
        (await signed_in.open(path)).text for path in ("/learn", f"/assessments/{publication.assessment_id}/result")
    ]

    async with api.sessions() as session:
        await session.execute(update(RoleRow).where(RoleRow.id == ROLE_ID).values(name=name))
        await session.commit()
    assert not any(CORPUS[0] in page or CORPUS[1] in page for page in pages)
    assert all(html.escape(CORPUS[0]) in page for page in pages)
