"""Catalogue search over HTTP: by meaning with a worker, filtered by Postgres, and by keywords without a worker."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update

from domain.grading.scores import DegradedReason
from domain.recommending.recommendations import SearchHit
from persistence.tables import CatalogSearchRow, CredentialRow
from tests.api.conftest import Api, Person
from tests.persistence.catalogues import an_entry, import_all
from tests.support.fake_engine import ScriptedSearches

SEARCH = "/catalog/search"


@pytest.fixture
def searches(api: Api) -> Iterator[ScriptedSearches]:
    """The engine, which does not answer until told otherwise."""
    searches = api.services.catalog.searches
    assert isinstance(searches, ScriptedSearches)
    searches.__init__()  # type: ignore[misc]  # the app holds this object
    yield searches
    searches.__init__()  # type: ignore[misc]


def hits(*ids: UUID) -> list[SearchHit]:
    return [
        SearchHit(credential_id=each, artifact_id=uuid4(), similarity=0.9 - place / 10, score=1.0)
        for place, each in enumerate(ids)
    ]


async def found(api: Api, person: Person, q: str, **query: Any) -> dict[str, Any]:
    answer = await api.get(person, SEARCH, q=q, **query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def kept(api: Api, search_id: UUID) -> str | None:
    async with api.sessions() as session:
        return await session.scalar(select(CatalogSearchRow.words).where(CatalogSearchRow.id == search_id))


async def withdraw(api: Api, credential_id: UUID, *, active: bool = False) -> None:
    async with api.sessions() as session:
        await session.execute(update(CredentialRow).where(CredentialRow.id == credential_id).values(active=active))
        await session.commit()


async def test_what_a_worker_finds_is_shown_in_its_order(api: Api, learner: Person, searches: ScriptedSearches) -> None:
    searches.hits = hits(*reversed(api.credentials))

    document = await found(api, learner, "join two tables")

    assert [UUID(item["credential"]["credential_id"]) for item in document["items"]] == api.credentials[::-1]
    assert [item["similarity"] for item in document["items"]] == [0.9, 0.8, 0.7]
    assert document["degraded"] is False
    assert "degraded_reason" not in document


async def test_what_is_withdrawn_is_not_shown_and_makes_room_for_the_next(
    api: Api, learner: Person, searches: ScriptedSearches
) -> None:
    first, second, third = api.credentials
    searches.hits = hits(first, second, third)
    await withdraw(api, first)
    try:
        document = await found(api, learner, "join two tables", limit="2")
    finally:
        await withdraw(api, first, active=True)

    assert [UUID(item["credential"]["credential_id"]) for item in document["items"]] == [second, third]


async def test_what_is_withdrawn_stays_in_old_results(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)
    path = f"/assessments/{publication.assessment_id}/result"
    before = (await api.get(learner, path)).json()["recommendation_items"]
    withdrawn = UUID(before[0]["credential_id"])
    await withdraw(api, withdrawn)
    try:
        after = (await api.get(learner, path)).json()["recommendation_items"]
    finally:
        await withdraw(api, withdrawn, active=True)

    assert after == before


async def test_a_search_in_another_store_says_so(api: Api, learner: Person, searches: ScriptedSearches) -> None:
    searches.hits, searches.degraded_reason = hits(*api.credentials), DegradedReason.VECTOR_STORE_FALLBACK

    document = await found(api, learner, "join two tables")

    assert (document["degraded"], document["degraded_reason"]) == (True, "vector_store_fallback")


@pytest.mark.usefixtures("searches")
async def test_without_a_worker_words_are_found_and_the_answer_says_so(api: Api, learner: Person) -> None:
    document = await found(api, learner, "how do I rank with window functions?")

    assert (document["degraded"], document["degraded_reason"]) == (True, "words_only")
    assert "Window functions" in document["items"][0]["credential"]["title"]
    assert "similarity" not in document["items"][0]


@pytest.mark.usefixtures("searches")
async def test_by_words_too_what_is_withdrawn_is_not_found(api: Api, learner: Person) -> None:
    word = f"w{uuid4().hex}"
    async with api.sessions() as session:
        await import_all(session, an_entry(word, title=word), an_entry(f"{word}-2", title=f"{word} again"))
        await import_all(session, {"key": word, "active": False})
        await session.commit()

    document = await found(api, learner, word)

    assert [item["credential"]["title"] for item in document["items"]] == [f"{word} again"]


@pytest.mark.usefixtures("searches")
@pytest.mark.parametrize("q", ["the of and", "'\\'' | !& :*", "\u200b\U000e0041", "ⓧ" * 500], ids=ascii)
async def test_words_that_mean_nothing_find_nothing(api: Api, learner: Person, q: str) -> None:
    assert (await found(api, learner, q))["items"] == []


async def test_the_query_text_is_deleted_if_no_worker_took_the_search(
    api: Api, learner: Person, searches: ScriptedSearches
) -> None:
    await found(api, learner, "nobody answers")

    assert await kept(api, searches.asked[0]) is None


async def test_a_later_search_deletes_query_texts_of_a_killed_process(
    api: Api, learner: Person, searches: ScriptedSearches
) -> None:
    searches.hits = []
    await found(api, learner, "a worker would take these")
    (left,) = searches.asked
    assert await kept(api, left) == "a worker would take these"
    async with api.sessions() as session:
        old = datetime.now(UTC) - timedelta(minutes=2)
        await session.execute(update(CatalogSearchRow).values(created_at=old))
        await session.commit()

    await found(api, learner, "what comes later")

    assert await kept(api, left) is None


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": ""},
        {"q": "   "},
        {"q": "a\0b"},
        {"q": "x" * 501},
        {"q": "x", "limit": "0"},
        {"q": "x", "limit": "51"},
        {"q": "x", "limit": "1.0"},
        {"q": "x", "offset": "1"},
    ],
    ids=lambda query: str(query)[:40],
)
async def test_a_query_out_of_range_is_refused(api: Api, learner: Person, query: dict[str, str]) -> None:
    answer: httpx.Response = await api.get(learner, SEARCH, **query)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")
