"""The schema has every table, column, check, unique constraint and index of the founding document."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.builders import a_user, an_assessment

COLUMNS = {
    "role_catalog": "id name description skills_profile active created_at",
    "users": "id email role profile status created_at updated_at",
    "questions": "id role_id question_type prompt choices rubric weight version active created_at",
    "assessments": "id user_id role_id status degraded started_at completed_at metadata created_at updated_at",
    "assessment_question_snapshots": (
        "id assessment_id question_id prompt rubric question_type choices weight version"
    ),
    "assessment_responses": "id assessment_id question_snapshot_id answer submitted_at",
    "rule_scores": "id assessment_id question_snapshot_id score explanation rules_applied created_at",
    "essay_scores": (
        "id assessment_id question_snapshot_id score model prompt_version latency_ms cost_cents response_payload"
        " created_at"
    ),
    "credential_catalog": "id title description skills provider metadata active created_at",
    "embedding_artifacts": "id entity_type entity_id provider vector raw_embedding created_at",
    "recommendations": "id assessment_id summary degraded status generated_at metrics created_at",
    "recommendation_items": ("id recommendation_id credential_id title confidence rationale source_trace_ids position"),
    "rag_traces": "id recommendation_id source_uri snippet similarity embedding_artifact_id created_at",
    "async_jobs": (
        "id assessment_id job_type status attempts payload error_payload queued_at completed_at next_run_at"
    ),
    "webhook_events": ("id assessment_id event_type payload status response_code last_attempt attempts created_at"),
    "recommendation_feedback": (
        "id recommendation_id submitted_by submitted_by_role relevance_score acceptance_status comments submitted_at"
    ),
    "audit_logs": "id actor_id actor_role action resource_type resource_id metadata created_at",
    "metric_snapshots": "id assessment_id metric_type value context captured_at",
}

UNIQUE = {
    ("users", "email"),
    ("assessment_question_snapshots", "assessment_id, question_id"),
    ("assessment_responses", "assessment_id, question_snapshot_id"),
    ("rule_scores", "assessment_id, question_snapshot_id"),
    ("essay_scores", "assessment_id, question_snapshot_id"),
    ("embedding_artifacts", "entity_type, entity_id, provider, model, text_hash"),
    ("recommendations", "assessment_id"),
    ("recommendation_items", "recommendation_id, credential_id"),
}

INDEXES = {
    "idx_assessments_user": "(user_id)",
    "idx_assessments_status": "(status)",
    "idx_async_jobs_status_next_run": "(status, next_run_at)",
    "idx_recommendations_status": "(status)",
    "idx_recommendation_items_position": '(recommendation_id, "position")',
    "idx_embedding_artifacts_provider": "(provider)",
    "idx_recommendation_feedback_reco": "(recommendation_id)",
    "idx_embedding_artifacts_vector": "USING hnsw (vector vector_cosine_ops)",
}

REFUSED = {
    "a role nobody knows": "UPDATE users SET role = 'owner'",
    "a question type nobody knows": "UPDATE questions SET question_type = 'oral'",
    "an assessment status nobody knows": "UPDATE assessments SET status = 'paused'",
    "a recommendation status nobody knows": (
        "INSERT INTO recommendations (id, assessment_id, revision, summary, status, generated_at, metrics, skills)"
        " SELECT gen_random_uuid(), id, 1, '', 'odd', now(), '{}', '{}' FROM assessments"
    ),
    "a relevance of 6": (
        "INSERT INTO recommendation_feedback"
        " (id, recommendation_id, revision, submitted_by, submitted_by_role, relevance_score)"
        " SELECT gen_random_uuid(), gen_random_uuid(), 1, id, role, 6 FROM users"
    ),
}


async def test_every_column_exists(session: AsyncSession) -> None:
    found = await session.execute(
        text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
    )
    present = {tuple(row) for row in found}

    wanted = {(table, column) for table, columns in COLUMNS.items() for column in columns.split()}

    assert wanted - present == set()


async def test_every_unique_constraint_exists(session: AsyncSession) -> None:
    found = await session.execute(
        text("SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'u'")
    )
    present = {(table, definition.removeprefix("UNIQUE (").removesuffix(")")) for table, definition in found}

    assert UNIQUE - present == set()


async def test_every_index_exists(session: AsyncSession) -> None:
    found = await session.execute(text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
    present = {row.indexname: row.indexdef for row in found}

    assert {name: present.get(name, "")[-len(end) :] for name, end in INDEXES.items()} == INDEXES


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED.keys())
async def test_a_check_refuses(session: AsyncSession, statement: str) -> None:
    await an_assessment(session)

    with pytest.raises(IntegrityError, match="_check"):
        await session.execute(text(statement))


async def test_addresses_differ_by_more_than_case(session: AsyncSession) -> None:
    await a_user(session, email="somebody@example.org")

    with pytest.raises(IntegrityError, match="users_email_key"):
        await a_user(session, email="Somebody@Example.org")


async def test_only_admins_have_no_organization(session: AsyncSession) -> None:
    user_id = await a_user(session, role="admin")
    await session.execute(text("UPDATE users SET organization_id = NULL WHERE id = :id"), {"id": user_id})

    with pytest.raises(IntegrityError, match="users_organization_check"):
        await session.execute(text("UPDATE users SET role = 'advisor' WHERE id = :id"), {"id": user_id})


async def test_one_assessment_in_progress_per_student_and_role(session: AsyncSession) -> None:
    assessment = await an_assessment(session)

    with pytest.raises(IntegrityError, match="assessments_in_progress_key"):
        await an_assessment(session, user_id=assessment.user_id)
