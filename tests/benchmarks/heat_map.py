"""`python -m tests.benchmarks.heat_map`: measure the heat map of a cohort against its query and an almost empty page.

STUDENTS have two results each with SKILLS skills. The kinds take turns, so that other load on the machine affects all
of them. `query` runs the statement of the page. The others are requests in the same process over ASGI: `JSON twin`
answers the rows of the statement as JSON, without a session.
"""

import asyncio
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import httpx
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from api.pages.session import PLAIN_COOKIE
from persistence.queries.advisor_pages import StudentSkills
from persistence.queries.views import Holder
from tests.benchmarks import report
from tests.benchmarks.filled_database import filled_database

STUDENTS: Final = int(os.environ.get("STUDENTS", "500"))
SKILLS: Final = int(os.environ.get("SKILLS", "12"))
REQUESTS: Final = int(os.environ.get("REQUESTS", "50"))
WARM: Final = 5
ORGANIZATION, ADVISOR, COHORT = UUID(int=1), UUID(int=2), UUID(int=3)

_ROWS: Final = """
INSERT INTO organizations (id, name) VALUES (%(organization)s, 'A college');
INSERT INTO users (id, organization_id, email, role)
VALUES (%(advisor)s, %(organization)s, 'advisor@college.example', 'advisor');
INSERT INTO cohorts (id, organization_id, name) VALUES (%(cohort)s, %(organization)s, 'Spring');
INSERT INTO users (id, organization_id, email, name, role)
SELECT lpad(to_hex(1000000 + n), 32, '0')::uuid, %(organization)s, n || '@college.example', 'Learner ' || n, 'student'
FROM generate_series(1, %(students)s) n;
INSERT INTO cohort_members (cohort_id, user_id) SELECT %(cohort)s, id FROM users WHERE role = 'student';
INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, expires_at, completed_at, created_at)
SELECT gen_random_uuid(), student.id, %(organization)s, (SELECT min(id::text)::uuid FROM role_catalog), 'completed', 1,
  now(), now(), now() - n * interval '30 days'
FROM users AS student, generate_series(1, 2) n WHERE student.role = 'student';
INSERT INTO result_revisions (assessment_id, revision, document)
SELECT assessment.id, 1, jsonb_build_object('skills', (
  SELECT jsonb_agg(jsonb_build_object('skill', 'Skill number ' || n, 'score', round(random()::numeric, 4),
    'target', 0.7, 'gap', 0.1, 'evidence', 2)) FROM generate_series(1, %(skills)s) n WHERE assessment.id IS NOT NULL
)) FROM assessments AS assessment;
"""

_COLUMNS: Final = ("request", "p50 ms", "of the query", "of the JSON twin")


def main() -> None:
    values = {
        "organization": ORGANIZATION,
        "advisor": ADVISOR,
        "cohort": COHORT,
        "students": STUDENTS,
        "skills": SKILLS,
    }
    with filled_database(_ROWS, values) as url:
        _print(*asyncio.run(_measure(url)))


async def _measure(url: str) -> tuple[dict[str, list[float]], int]:
    os.environ |= {
        "DATABASE_URL": url,
        "JWT_SECRET": "a-secret-for-benchmarks-of-32-bytes",  # of this run only
        "MICROCRED_ENV": "development",
        **dict.fromkeys(("RATE_LIMIT_WRITES", "RATE_LIMIT_READS"), "10000000/minute"),
    }
    from api.app import create_app  # noqa: PLC0415  # after the environment is set

    app = create_app()

    async def twin(_request: Request) -> Response:
        rows = await app.state.services.pages.advisor.student_skills(ORGANIZATION, COHORT)
        return Response(TypeAdapter(list[StudentSkills]).dump_json(rows), media_type="application/json")

    app.add_route("/twin", twin)
    async with app.router.lifespan_context(app):
        services = app.state.services
        async with services.database.transaction() as uow:
            holder = Holder(user_id=ADVISOR, role="advisor", organization_id=ORGANIZATION, token_version=0)
            token = await uow.web_sessions.start(holder)
            await uow.commit()
        cookies = {PLAIN_COOKIE: token or ""}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pages.test", cookies=cookies) as client:
            path = f"/cohorts/{COHORT}/skills"
            page = await client.get(path)
            assert page.status_code == 200, page.text
            assert len((await client.get("/twin")).json()) == STUDENTS
            kinds: dict[str, Callable[[], Awaitable[object]]] = {
                "query (floor)": lambda: services.pages.advisor.student_skills(ORGANIZATION, COHORT),
                "JSON twin": lambda: client.get("/twin"),
                "almost empty page": lambda: client.get("/appeals"),
                "heat map of the cohort": lambda: client.get(path),
                "overview": lambda: client.get("/overview"),
            }
            took = defaultdict[str, list[float]](list)
            for number in range(WARM + REQUESTS):
                for name, call in kinds.items():
                    started = time.perf_counter()
                    await call()
                    if number >= WARM:
                        took[name].append(1000 * (time.perf_counter() - started))
            return took, len(page.content)


def _print(took: dict[str, list[float]], weight: int) -> None:
    p50 = {name: statistics.median(times) for name, times in took.items()}
    query, twin = p50["query (floor)"], p50["JSON twin"]
    rows = [(name, value, value / query, value / twin) for name, value in p50.items()]
    report.say(f"{STUDENTS} students x {SKILLS} skills, {REQUESTS} requests of each kind, {weight} bytes, milliseconds")
    report.say(report.table(_COLUMNS, rows))
    report.write("bench-heat-map", {"rows": [dict(zip(_COLUMNS, row, strict=True)) for row in rows]})


if __name__ == "__main__":
    main()
