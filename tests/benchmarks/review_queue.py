"""`python -m tests.benchmarks.review_queue`: measure the review queue with many waiting essays against a bare read.

The floor is a request that reads one row by its primary key (`GET /api/v1/assessments/{id}`), in the same process and
with the same database. N is the number of waiting essays, REQUESTS the number of requests of each kind. The kinds take
turns, so that other load on the machine affects all of them.
"""

import asyncio
import os
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from uuid import UUID

import httpx
import psycopg

from api.security.tokens import Principal, UserRole
from tests.benchmarks import report
from tests.benchmarks.filled_database import filled_database

N: Final = int(os.environ.get("N", "100000"))
REQUESTS: Final = int(os.environ.get("REQUESTS", "300"))
WARM: Final = 20
ORGANIZATION, ADVISOR, COHORT = UUID(int=1), UUID(int=2), UUID(int=3)
SECRET: Final = "a-secret-for-benchmarks-of-32-bytes"  # of this run only

# Assessments with one essay each. One essay in 20 is an audit sample, one in 1,000 is appealed, one in 200 is of a rare
# role.
_ROWS: Final = """
INSERT INTO organizations (id, name) VALUES (%(organization)s, 'A college');
INSERT INTO users (id, organization_id, email, role)
VALUES (%(advisor)s, %(organization)s, 'advisor@college.example', 'advisor');
INSERT INTO users (id, organization_id, email, role)
SELECT lpad(to_hex(1000000 + n), 32, '0')::uuid, %(organization)s, n || '@college.example', 'student'
FROM generate_series(1, 5000) n;
INSERT INTO cohorts (id, organization_id, name) VALUES (%(cohort)s, %(organization)s, 'A small cohort');
INSERT INTO cohort_members (cohort_id, user_id)
SELECT %(cohort)s, lpad(to_hex(1000000 + n), 32, '0')::uuid FROM generate_series(100, 3000, 100) n;
INSERT INTO assessments
  (id, user_id, organization_id, role_id, status, revision, needs_review, expires_at, submitted_at)
SELECT gen_random_uuid(), lpad(to_hex(1000001 + n %% 5000), 32, '0')::uuid, %(organization)s,
  CASE WHEN n %% 200 = 0 THEN roles[1] ELSE roles[2 + n %% (cardinality(roles) - 1)] END, 'completed', 1, true, now(),
  now() - n * interval '1 second'
FROM generate_series(1, %(rows)s) n, (SELECT array_agg(id ORDER BY id) FROM role_catalog) AS known(roles);
INSERT INTO assessment_question_snapshots
  (id, assessment_id, question_id, position, prompt, rubric, question_type, kind, answer_format, weight, version)
SELECT gen_random_uuid(), assessment.id, question.id, 1, '', '{}', 'essay', 'text', '{}', 1, question.version
FROM assessments AS assessment
JOIN LATERAL (SELECT id, version FROM questions WHERE role_id = assessment.role_id AND kind = 'text'
  ORDER BY id LIMIT 1) AS question ON true;
INSERT INTO review_items (question_snapshot_id, assessment_id, organization_id, user_id, role_id, question_id, reasons,
  waiting, revision, submitted_at)
SELECT snapshot.id, assessment.id, assessment.organization_id, assessment.user_id, assessment.role_id,
  snapshot.question_id,
  CASE WHEN n %% 1000 = 0 THEN '{appealed}' WHEN n %% 20 = 0 THEN '{audit_sample}' WHEN n %% 400 = 1 THEN '{abstained}'
    WHEN n %% 2 = 0 THEN '{flagged}' ELSE '{low_confidence}' END::text[],
  true, 1, assessment.submitted_at
FROM (SELECT *, row_number() OVER () AS n FROM assessment_question_snapshots) AS snapshot
JOIN assessments AS assessment ON assessment.id = snapshot.assessment_id;
"""

Send = Callable[[], Awaitable[httpx.Response]]


def main() -> None:
    values = {"organization": ORGANIZATION, "advisor": ADVISOR, "cohort": COHORT, "rows": N}
    with filled_database(_ROWS, values) as url:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            row = connection.execute("SELECT id FROM assessments LIMIT 1").fetchone()
        assert row
        _print(asyncio.run(_measure(url, row[0])))


async def _measure(url: str, assessment_id: UUID) -> dict[str, list[float]]:
    async with api_client(url) as client:
        roles = (await client.get("/roles")).json()
        answer = await client.get("/reviews/queue")
        assert answer.status_code == 200, answer.text
        listed = answer.json()["items"]
        rare = min(role["role_id"] for role in roles.get("items", roles))
        kinds: dict[str, Send] = {
            "bare indexed read (floor)": lambda: client.get(f"/assessments/{assessment_id}"),
            "queue": lambda: client.get("/reviews/queue"),
            "queue, oldest first": lambda: client.get("/reviews/queue", params={"order": "oldest"}),
            "queue, rare role": lambda: client.get("/reviews/queue", params={"role_id": rare}),
            "queue, one question": lambda: client.get(
                "/reviews/queue", params={"question_id": listed[0]["question_id"]}
            ),
            "queue, a cohort": lambda: client.get("/reviews/queue", params={"cohort_id": str(COHORT)}),
            **{
                f"queue, {reason}": partial(client.get, "/reviews/queue", params={"reason": reason})
                for reason in ("abstained", "flagged", "audit_sample")
            },
            "claim": lambda: client.post("/reviews/claims", json={}),
            "claim, rare role": lambda: client.post("/reviews/claims", json={"role_id": rare, "order": "oldest"}),
            "claim, a cohort": lambda: client.post("/reviews/claims", json={"cohort_id": str(COHORT)}),
            "claim, audit_sample": lambda: client.post("/reviews/claims", json={"reason": "audit_sample"}),
        }
        took = defaultdict[str, list[float]](list)
        for number in range(WARM + REQUESTS):
            for name, send in kinds.items():
                started = time.perf_counter()
                answer = await send()
                elapsed = time.perf_counter() - started
                assert answer.status_code in {200, 201}, answer.text
                if number >= WARM:
                    took[name].append(1000 * elapsed)
        return took


@asynccontextmanager
async def api_client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the API in this process, over ASGI, to the advisor. The workflow engine is not reachable."""
    os.environ |= {
        "DATABASE_URL": url,
        "JWT_SECRET": SECRET,
        "MICROCRED_ENV": "development",
        **dict.fromkeys(("RATE_LIMIT_WRITES", "RATE_LIMIT_READS"), "10000000/minute"),
    }
    from api.app import create_app  # noqa: PLC0415  # after the environment is set

    app = create_app()
    principal = Principal(user_id=ADVISOR, role=UserRole.ADVISOR, organization_id=ORGANIZATION, version=0)
    async with app.router.lifespan_context(app):
        headers = {"Authorization": f"Bearer {app.state.services.tokens.issue(principal)}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api.test/api/v1", headers=headers) as client:
            yield client


def _print(took: dict[str, list[float]]) -> None:
    p95 = {name: statistics.quantiles(times, n=20)[-1] for name, times in took.items()}
    floor = next(iter(p95.values()))
    rows = [(name, statistics.median(took[name]), value, value / floor) for name, value in p95.items()]
    report.say(f"{N} waiting essays, {REQUESTS} requests of each kind, milliseconds")
    report.say(report.table(("request", "p50", "p95", "p95 / floor"), rows))
    report.write(
        "bench-review-queue",
        {"waiting": N, "rows": [dict(zip(("request", "p50_ms", "p95_ms", "ratio"), row, strict=True)) for row in rows]},
    )


if __name__ == "__main__":
    main()
