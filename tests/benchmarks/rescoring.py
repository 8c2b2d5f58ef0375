"""`python -m tests.benchmarks.rescoring`: measure a re-score of N completed assessments by rules, without its workflow.

On a real PostgreSQL, with rows copied by SQL from one published assessment. In lane `same` no result changes; in lane
`changed` a corrected key changes every result, so each gets new recommendations. In lane `reactions` the same happens
after every tenth learner has rated each recommended credential. The activities run one after the other, as the workflow
runs them. `cpu_ms` is the CPU time of this process per assessment; `memory_mb` is the growth of
its peak memory after the first tenth.
"""

import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.adapters.knn import KnnNearestLearners
from activities.advance_rescore import AdvanceRescore, RescoreKey
from activities.apply_rescore import RescoreApplication
from activities.blend_recommendations import BlendRecommendations
from activities.finish_rescore_batch import BatchEnd, FinishRescoreBatch
from activities.retrieve_evidence import RetrieveEvidence
from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from domain.assessments.questions import Item
from domain.assessments.results import Result
from domain.database import Database
from domain.grading.rules import score_rules
from domain.recommending.ports import CredentialIndex
from domain.recommending.ranking import Learner, recommend
from domain.recommending.skills import skill_gaps, skill_profile
from domain.rescores.rescores import RescoreStatus
from persistence.content.loader import load_content
from persistence.database import create_engine
from persistence.migrate import upgrade
from persistence.queries.rescores import RescoreQueries
from persistence.unit_of_work import SqlDatabase, sessions
from tests.activities.builders import an_index
from tests.benchmarks import report
from tests.support.builders import an_essay_score, an_organization
from tests.support.databases import CONTENT, settings_of
from tests.support.fake_engine import RecordingDeliveries
from tests.support.fake_search import FakeEmbedder
from tests.support.rescores import AskedRole, a_rescore, a_role, an_answered_assessment, wrong_choice
from workflows.engine.process_exit import run_and_leave

N: Final = int(os.environ.get("N", "2000"))

_COPY: Final = """
INSERT INTO users (id, email, role, organization_id)
  SELECT CAST(md5(:seed || 'user' || n) AS uuid), :seed || n || '@example.org', 'student', :organization
  FROM generate_series(1, :n) AS n;
INSERT INTO assessments SELECT (jsonb_populate_record(a, jsonb_build_object(
    'id', md5(:seed || 'assessment' || n), 'user_id', md5(:seed || 'user' || n)))).*
  FROM assessments AS a, generate_series(1, :n) AS n WHERE a.id = :copied;
INSERT INTO assessment_question_snapshots SELECT (jsonb_populate_record(s, jsonb_build_object(
    'id', md5(:seed || s.id || n), 'assessment_id', md5(:seed || 'assessment' || n)))).*
  FROM assessment_question_snapshots AS s, generate_series(1, :n) AS n WHERE s.assessment_id = :copied;
INSERT INTO assessment_responses SELECT (jsonb_populate_record(r, jsonb_build_object(
    'id', md5(:seed || r.id || n), 'assessment_id', md5(:seed || 'assessment' || n),
    'question_snapshot_id', md5(:seed || r.question_snapshot_id || n)))).*
  FROM assessment_responses AS r, generate_series(1, :n) AS n WHERE r.assessment_id = :copied;
INSERT INTO rule_scores SELECT (jsonb_populate_record(r, jsonb_build_object(
    'id', md5(:seed || r.id || n), 'assessment_id', md5(:seed || 'assessment' || n),
    'question_snapshot_id', md5(:seed || r.question_snapshot_id || n)))).*
  FROM rule_scores AS r, generate_series(1, :n) AS n WHERE r.assessment_id = :copied;
INSERT INTO essay_scores SELECT (jsonb_populate_record(r, jsonb_build_object(
    'id', md5(:seed || r.id || n), 'assessment_id', md5(:seed || 'assessment' || n),
    'question_snapshot_id', md5(:seed || r.question_snapshot_id || n),
    'response_payload', r.response_payload || jsonb_build_object(
      'snapshot_id', CAST(md5(:seed || r.question_snapshot_id || n) AS uuid))))).*
  FROM essay_scores AS r, generate_series(1, :n) AS n WHERE r.assessment_id = :copied;
INSERT INTO recommendations SELECT (jsonb_populate_record(r, jsonb_build_object(
    'id', md5(:seed || r.id || n), 'assessment_id', md5(:seed || 'assessment' || n)))).*
  FROM recommendations AS r, generate_series(1, :n) AS n WHERE r.assessment_id = :copied;
INSERT INTO result_revisions SELECT (jsonb_populate_record(r, jsonb_build_object(
    'assessment_id', md5(:seed || 'assessment' || n)))).*
  FROM result_revisions AS r, generate_series(1, :n) AS n WHERE r.assessment_id = :copied
"""

REACT: Final = text("""
INSERT INTO recommendation_feedback
  (id, recommendation_id, revision, credential_id, submitted_by, submitted_by_role, relevance_score)
SELECT gen_random_uuid(), reco.id, 1, item.credential_id, assessment.user_id, 'student', 1 + (n + item.position) % 5
FROM (
  SELECT id, user_id, row_number() OVER (ORDER BY id) AS n FROM assessments WHERE role_id = :role_id AND revision > 0
) AS assessment
JOIN recommendations AS reco ON reco.assessment_id = assessment.id
CROSS JOIN (
  SELECT DISTINCT credential_id, position FROM recommendation_items AS item
  JOIN recommendations AS reco ON reco.id = item.recommendation_id
  JOIN assessments AS assessment ON assessment.id = reco.assessment_id AND assessment.role_id = :role_id
) AS item
WHERE n % 10 = 0
""")


@dataclass(frozen=True, slots=True)
class Measurement:
    lane: str
    assessments: int
    changed: int
    per_second: float
    cpu_ms: float
    memory_mb: float


async def copies(engine: AsyncEngine, role: AskedRole, organization_id: UUID, index: CredentialIndex, n: int) -> None:
    """Publish one assessment and copy its rows `n` times."""
    async with sessions(engine)() as session:
        made = await an_answered_assessment(session, role, organization_id)
        await session.execute(
            text("UPDATE assessments SET status = 'awaiting_async', submitted_at = now() WHERE id = :id"),
            {"id": made.id},
        )
        await session.commit()
    database = SqlDatabase(engine)
    async with database.transaction() as uow:
        assessment, now = await uow.assessments.lock(made.id)
        items = await uow.assessments.items(made.id)
        await uow.results.publish(assessment, now, await _result(database, items, role.id, index))
        await uow.commit()
    values = {"seed": str(made.id), "organization": organization_id, "copied": made.id, "n": n}
    async with engine.begin() as connection:
        for statement in _COPY.split(";"):
            await connection.execute(text(statement), values)
        await connection.execute(text("ANALYZE"))


async def _result(database: Database, items: Sequence[Item], role_id: UUID, index: CredentialIndex) -> Result:
    rules = score_rules(items).scores
    essays = tuple(
        an_essay_score(item.snapshot_id, points=None, fraction=None, needs_review=True)
        for item in items
        if item.question.kind == "text"
    )
    async with database.statement() as uow:
        role = await uow.catalog.role(role_id)
    gaps = skill_gaps(role, skill_profile(items, rules, essays))
    evidence = await RetrieveEvidence(database, FakeEmbedder(), index).evidence(gaps)
    async with database.statement() as uow:
        credentials = await uow.catalog.credentials([trace.credential_id for trace in evidence.traces])
    blend = recommend(role, Learner(gaps=gaps), evidence.traces, credentials)
    return Result(rule_scores=rules, essay_scores=essays, evidence=evidence, blend=blend)


async def measure(lane: str, engine: AsyncEngine, rescore_id: UUID, index: CredentialIndex) -> Measurement:
    """Run the activities until the re-score is computed."""
    database = SqlDatabase(engine)
    advance = AdvanceRescore(database, RescoreApplication(database, RecordingDeliveries()))
    finish = FinishRescoreBatch(
        database,
        RetrieveEvidence(database, FakeEmbedder(), index),
        BlendRecommendations(database, KnnNearestLearners()),
    )
    started, cpu = time.monotonic(), time.process_time()
    warm = 0.0
    while (step := await advance.advance_rescore(RescoreKey(rescore_id=rescore_id))).status is RescoreStatus.COMPUTING:
        if step.unfinished:
            await finish.finish_rescore_batch(BatchEnd(rescore_id=rescore_id))
        if not warm and step.done >= N / 10:
            warm = _peak_mb()
    summary = await RescoreQueries(engine).summary(rescore_id)
    return Measurement(
        lane=lane,
        assessments=summary.compared,
        changed=summary.changed,
        per_second=summary.compared / (time.monotonic() - started),
        cpu_ms=1000 * (time.process_time() - cpu) / summary.compared,
        memory_mb=_peak_mb() - warm,
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def bench(url: str) -> list[Measurement]:
    engine = create_engine(settings_of(url))
    await load_content(engine, CONTENT)
    async with sessions(engine)() as session:
        index = await an_index(session)
        role = await a_role(session)
        organization_id = await an_organization(session)
        await session.commit()
    await copies(engine, role, organization_id, index, N)
    lanes = []
    for lane in ("same", "changed", "reactions"):
        async with sessions(engine)() as session:
            if lane == "changed":
                await wrong_choice(session, role.questions["single"])
            if lane == "reactions":
                await session.execute(REACT, {"role_id": role.id})
            rescore_id = await a_rescore(session, organization_id, role_id=role.id)
            await session.commit()
        lanes.append(await measure(lane, engine, rescore_id, index))
    await engine.dispose()
    return lanes


def main() -> int:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(EmbeddedPostgres(directory, free_port(), durable=False))
        upgrade(settings_of(server.url))
        lanes = [asdict(lane) for lane in asyncio.run(bench(server.url))]
    report.say(report.table(list(lanes[0]), [list(lane.values()) for lane in lanes]))
    report.say(f"Written to {report.write('rescoring', {'n': N, 'lanes': lanes})}")
    return 0


if __name__ == "__main__":
    run_and_leave(main)
