"""POST /recommendations/{id}/feedback."""

from typing import Any

import pytest
from sqlalchemy import func, select

from persistence.tables import AuditLogRow, FeedbackRow, MetricSnapshotRow
from tests.api.conftest import Api, Person


async def _give(api: Api, person: Person, recommendation_id: object, **feedback: Any) -> Any:
    return await api.client.post(
        f"/api/v1/recommendations/{recommendation_id}/feedback", json=feedback, headers=person.headers
    )


async def test_feedback_is_stored_with_its_audit_row_and_metric(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)
    answer = await _give(
        api,
        learner,
        publication.recommendation_id,
        relevance_score=4,
        acceptance_status="accepted",
        comments="Useful, thank you.",
        submitted_by_role="student",
        credential_id=str(api.credentials[0]),
    )
    assert answer.status_code == 201
    assert answer.json()["revision"] == 1
    async with api.sessions() as session:
        row = (
            await session.execute(
                select(FeedbackRow.credential_id, FeedbackRow.comments, FeedbackRow.submitted_by_role).where(
                    FeedbackRow.id == answer.json()["feedback_id"]
                )
            )
        ).one()
        audited = (
            await session.execute(
                select(AuditLogRow.action, AuditLogRow.actor_id, AuditLogRow.details).where(
                    AuditLogRow.resource_id == publication.recommendation_id
                )
            )
        ).one()
        metric = await session.scalar(
            select(MetricSnapshotRow.value).where(
                MetricSnapshotRow.assessment_id == publication.assessment_id,
                MetricSnapshotRow.metric_type == "satisfaction",
            )
        )
    assert tuple(row) == (api.credentials[0], "Useful, thank you.", "student")
    assert tuple(audited) == (
        "feedback.given",
        learner.id,
        {"feedback_id": answer.json()["feedback_id"], "revision": 1},
    )
    assert metric == 4


async def test_all_feedback_is_stored(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)
    for score in (2, 5):
        await _give(api, learner, publication.recommendation_id, relevance_score=score)
    assert await _count(api, publication.recommendation_id) == 2


async def test_feedback_of_an_advisor_has_the_role_advisor(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)
    advisor = await api.person("advisor")
    claimed = await _give(api, advisor, publication.recommendation_id, relevance_score=3, submitted_by_role="student")
    plain = await _give(api, advisor, publication.recommendation_id, relevance_score=3)
    assert (claimed.status_code, plain.status_code) == (400, 201)
    assert claimed.json()["details"][0]["field"] == "submitted_by_role"


async def test_advisors_and_admins_read_feedback(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)
    said = {"relevance_score": 2, "comments": "Too easy.", "acceptance_status": "rejected"}
    await _give(api, learner, publication.recommendation_id, **said, credential_id=str(api.credentials[0]))
    for role in ("advisor", "admin"):
        reader = await api.person(role)
        (read,) = (await api.get(reader, f"/recommendations/{publication.recommendation_id}/feedback")).json()["items"]
        assert said.items() <= read.items()
        assert (read["submitted_by"], read["submitted_by_role"]) == (str(learner.id), "student")
        assert (read["credential_id"], read["revision"]) == (str(api.credentials[0]), 1)


async def test_feedback_is_listed_in_pages_newest_first(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)
    for score in (1, 2, 3):
        await _give(api, learner, publication.recommendation_id, relevance_score=score)
    advisor, path = await api.person("advisor"), f"/recommendations/{publication.recommendation_id}/feedback"
    first = (await api.get(advisor, path, limit=2)).json()
    rest = (await api.get(advisor, path, limit=2, cursor=first["next_cursor"])).json()
    assert [each["relevance_score"] for each in first["items"] + rest["items"]] == [3, 2, 1]
    assert "next_cursor" not in rest


async def test_without_feedback_the_list_is_empty(api: Api, learner: Person) -> None:
    publication = await api.completed(learner)
    answer = await api.get(await api.person("advisor"), f"/recommendations/{publication.recommendation_id}/feedback")
    assert (answer.status_code, answer.json()) == (200, {"items": []})


@pytest.mark.parametrize(
    ("feedback", "field"),
    [
        ({}, "relevance_score"),
        ({"relevance_score": 0}, "relevance_score"),
        ({"relevance_score": 6}, "relevance_score"),
        ({"relevance_score": 4.0}, "relevance_score"),
        ({"relevance_score": "4"}, "relevance_score"),
        ({"relevance_score": True}, "relevance_score"),
        ({"relevance_score": 4, "acceptance_status": "maybe"}, "acceptance_status"),
        ({"relevance_score": 4, "comments": "x" * 4001}, "comments"),
        ({"relevance_score": 4, "submitted_by_role": "admin"}, "submitted_by_role"),
        ({"relevance_score": 4, "credential_id": "x"}, "credential_id"),
        ({"relevance_score": 4, "credential_id": "00000000-0000-0000-0000-000000000000"}, "credential_id"),
        ({"relevance_score": 4, "stars": 5}, "body"),
    ],
    ids=str,
)
async def test_invalid_feedback_is_refused_by_field_and_stores_nothing(
    api: Api, learner: Person, feedback: dict[str, Any], field: str
) -> None:
    publication = await api.completed(learner)
    answer = await _give(api, learner, publication.recommendation_id, **feedback)
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field)
    assert await _count(api, publication.recommendation_id) == 0


async def _count(api: Api, recommendation_id: object) -> int:
    async with api.sessions() as session:
        found = await session.scalar(select(func.count()).where(FeedbackRow.recommendation_id == recommendation_id))
    return found or 0
