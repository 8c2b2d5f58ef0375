"""Stop a program at an exact database write, and check the invariants afterwards."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, LiteralString, Self
from zlib import crc32

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from tests.support.deployment import PASSWORD, STUDENT, Deployment, eventually, libpq, stored
from tests.support.student_client import MARKER, Attempt


@dataclass(frozen=True, slots=True)
class Moment:
    """A change of a table's rows: `event` is INSERT or UPDATE; `condition` is SQL on OLD and NEW.

    With `assessment`, only rows of that assessment match.
    """

    name: LiteralString
    event: LiteralString
    table: LiteralString
    condition: LiteralString
    assessment: str | None = None

    @property
    def sql(self) -> Composable:
        one = SQL(" AND NEW.assessment_id = {}").format(Literal(self.assessment)) if self.assessment else SQL("")
        return SQL(self.condition) + one

    @property
    def lock(self) -> int:
        """The advisory lock that a closed gate holds. Gates at different moments do not wait for each other."""
        return crc32(self.name.encode())


def storing_output(step: LiteralString, assessment: str | None = None) -> Moment:
    """Match the UPDATE that stores the output of a step's job."""
    condition: LiteralString = f"NEW.job_type = '{step}' AND NEW.status = 'succeeded' AND OLD.status <> 'succeeded'"
    return Moment(f"storing_{step}", "UPDATE", "async_jobs", condition, assessment)


RESERVING_A_CALL: Final = Moment("reserving", "INSERT", "model_answers", "NEW.status = 'intended'")
STORING_A_REPLY: Final = Moment("storing", "UPDATE", "model_answers", "NEW.status = 'answered'")


class Gate:
    """Block every program that makes the change, with its transaction open, until the end of the block.

    A trigger in PostgreSQL waits for an advisory lock that the gate holds. This makes the moment exact, and the program
    under test needs no hook.
    """

    def __init__(self, deployment: Deployment, moment: Moment) -> None:
        self._connection = psycopg.connect(libpq(deployment.environment["DATABASE_URL"]), autocommit=True)
        self._moment = moment

    def __enter__(self) -> Self:
        name = Identifier(f"gate_{self._moment.name}")
        run = self._connection.execute
        run("SELECT pg_advisory_lock(%s)", [self._moment.lock])
        run(
            SQL(
                "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN PERFORM pg_advisory_xact_lock_shared({}); RETURN NEW; END $$"
            ).format(name, Literal(self._moment.lock))
        )
        run(
            SQL(
                "CREATE OR REPLACE TRIGGER {0} BEFORE {1} ON {2} FOR EACH ROW WHEN ({3}) EXECUTE FUNCTION {0}()"
            ).format(name, SQL(self._moment.event), Identifier(self._moment.table), self._moment.sql)
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Close the session, which releases the lock. The server may already be dead."""
        self._connection.close()

    def wait_for_waiters(self, number: int = 1) -> None:
        query = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
        eventually(lambda: len(self._connection.execute(query, [self._moment.lock]).fetchall()) >= number)


def assert_done_once(deployment: Deployment, attempts: Iterable[Attempt], *, revisions: int = 1) -> None:
    """Check invariants L, S and A.

    Each assessment is completed, with one score per item, each revision once and one audit row per transition. No log
    and no history contains private data.
    """
    assert _leaks(deployment) == []
    transitions = ["claimed", "completed", "started", "submitted", *["updated"] * (revisions > 1)]
    for attempt in attempts:
        assert _facts(deployment, attempt) == {
            "assessment": [("completed", 1, revisions)],
            "scores": [(question["question_id"], 1) for question in attempt.questions],
            "recommendations": [(revisions,)],
            "revisions": [(1 + number,) for number in range(revisions)],
            "events": [("assessment.completed",), *[("assessment.updated",)] * (revisions - 1)],
            "open jobs": [],
            "audit": [(f"assessment.{each}", revisions - 1 if each == "updated" else 1) for each in transitions],
        }


def _leaks(deployment: Deployment) -> list[tuple[str, str]]:
    """Return each log, and Temporal's database, that contains an answer, email address or password of a student."""
    kept = {path.name: path.read_bytes() for path in deployment.logs.iterdir()}
    kept["temporal's database"] = stored(deployment.temporal_file)
    secrets = (MARKER, STUDENT, PASSWORD)
    return [(name, secret) for name, content in kept.items() for secret in secrets if secret.encode() in content]


def _facts(deployment: Deployment, attempt: Attempt) -> dict[str, list[tuple[object, ...]]]:
    rows = deployment.rows
    return {
        "assessment": rows("SELECT status, run, revision FROM assessments WHERE id = %s", attempt.id),
        "scores": rows(
            "SELECT question_id::text, count(score) FROM assessment_question_snapshots AS item"
            " LEFT JOIN (SELECT question_snapshot_id, 1 AS score FROM rule_scores"
            " UNION ALL SELECT question_snapshot_id, 1 FROM essay_scores) AS scores"
            " ON question_snapshot_id = item.id WHERE assessment_id = %s"
            " GROUP BY question_id, position ORDER BY position",
            attempt.id,
        ),
        "recommendations": rows("SELECT revision FROM recommendations WHERE assessment_id = %s", attempt.id),
        "revisions": rows(
            "SELECT revision FROM result_revisions WHERE assessment_id = %s ORDER BY revision", attempt.id
        ),
        "events": rows(
            "SELECT event_type FROM webhook_events WHERE assessment_id = %s ORDER BY event_type", attempt.id
        ),
        "open jobs": rows(
            "SELECT job_type, status FROM async_jobs WHERE assessment_id = %s AND status <> 'succeeded'", attempt.id
        ),
        "audit": rows(
            "SELECT action, count(*) FROM audit_logs WHERE resource_id = %s GROUP BY action ORDER BY action",
            attempt.id,
        ),
    }
