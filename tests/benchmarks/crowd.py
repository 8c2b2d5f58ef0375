"""Fill a database with many open and finished assessments of one organization, by INSERT … SELECT."""

from typing import Final
from uuid import UUID

import psycopg

from tests.benchmarks import workload

ORGANIZATION: Final = UUID(int=1)
ADVISOR: Final = UUID(int=2)
ADMIN: Final = UUID(int=3)
_ENDPOINT: Final = UUID(int=4)
ROLES: Final = 4
"""A student has an open assessment of each role."""

# Without triggers and foreign keys, which take most of the time. The rows satisfy both.
_UNCHECKED: Final = "SET session_replication_role = replica"

_STAFF: Final = """
INSERT INTO organizations (id, name) VALUES (%(organization)s, 'A large provider') ON CONFLICT DO NOTHING;
INSERT INTO users (id, organization_id, email, role) VALUES
  (%(advisor)s, %(organization)s, 'advisor@provider.example', 'advisor'),
  (%(admin)s, %(organization)s, 'admin@provider.example', 'admin') ON CONFLICT DO NOTHING;
INSERT INTO webhook_endpoints (id, organization_id, url, event_types, secret, enabled)
VALUES (%(endpoint)s, %(organization)s, 'https://partner.example/', '{}', '', false) ON CONFLICT DO NOTHING
"""

# Each finished assessment has an essay with its answer, fingerprint and score, a recommendation, a revision, a job, an
# entry of the audit trail and a delivery. One in 100 failed, another one in 100 is degraded and another one waits for a
# review. One student in five gave feedback.
_CROWD: Final = """
CREATE TEMPORARY TABLE role AS
  SELECT role.id, row_number() OVER () - 1 AS n, question.id AS question_id, question.version, (
    SELECT jsonb_object_agg(target ->> 'skill', '0.5') FROM jsonb_array_elements(role.skills_profile) AS target
  ) AS skills
  FROM (SELECT * FROM role_catalog ORDER BY id <> %(role)s, id LIMIT %(roles)s) AS role
  JOIN LATERAL (SELECT id, version FROM questions WHERE role_id = role.id AND kind = 'text' ORDER BY id LIMIT 1)
    AS question ON true;
CREATE TEMPORARY TABLE student AS
  SELECT n - 1 AS n, gen_random_uuid() AS id FROM generate_series(1, greatest(%(open)s / %(roles)s, 1)) n;
CREATE TEMPORARY TABLE finished AS
  SELECT number.n, gen_random_uuid() AS id, student.id AS user_id, role.id AS role_id, role.question_id, role.version,
    role.skills, gen_random_uuid() AS snapshot_id, gen_random_uuid() AS recommendation_id,
    gen_random_uuid() AS event_id, now() - number.n * interval '1 second' AS at,
    number.n / %(roles)s %% 100 AS kind
  FROM generate_series(1, %(finished)s) AS number(n) JOIN role ON role.n = number.n %% %(roles)s
  JOIN student ON student.n = number.n %% (SELECT count(*) FROM student);
INSERT INTO users (id, organization_id, email, role, name)
  SELECT id, %(organization)s, id || '@provider.example', 'student', 'Learner ' || n FROM student;
INSERT INTO assessments (id, user_id, organization_id, role_id, status, expires_at)
  SELECT gen_random_uuid(), student.id, %(organization)s, role.id, 'in_progress', now() + interval '3 days'
  FROM student, role;
INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, degraded, needs_review,
    failure_reason, expires_at, submitted_at, claimed_at, completed_at, created_at)
  SELECT id, user_id, %(organization)s, role_id, CASE kind WHEN 0 THEN 'failed' ELSE 'completed' END,
    CASE kind WHEN 0 THEN 0 ELSE 1 END, kind = 1, kind = 2, CASE kind WHEN 0 THEN 'expired' END, at, at, at, at, at
  FROM finished;
INSERT INTO assessment_question_snapshots
    (id, assessment_id, question_id, position, prompt, rubric, question_type, kind, answer_format, weight, version)
  SELECT snapshot_id, id, question_id, 1, 'A question', '{}', 'essay', 'text', '{}', 1, version FROM finished;
INSERT INTO answer_shingles (shingle, question_snapshot_id)
  SELECT hashtextextended(snapshot_id::text, each), snapshot_id FROM finished, generate_series(1, 8) AS each;
INSERT INTO assessment_responses (id, assessment_id, question_snapshot_id, answer)
  SELECT gen_random_uuid(), id, snapshot_id, to_jsonb(repeat('An answer. ', 20)) FROM finished;
INSERT INTO essay_scores
    (id, assessment_id, question_snapshot_id, score, model, prompt_version, latency_ms, response_payload)
  SELECT gen_random_uuid(), id, snapshot_id, 0.5, 'local', version, 1, '{}' FROM finished WHERE kind > 0;
INSERT INTO recommendations
    (id, assessment_id, revision, summary, degraded_reasons, status, generated_at, metrics, skills)
  SELECT recommendation_id, id, 1, 'A summary', '{}', 'ready', at, '{"blend_weights": {"similarity": 1}}', skills
  FROM finished WHERE kind > 0;
INSERT INTO recommendation_items
    (id, recommendation_id, credential_id, title, confidence, rationale, source_trace_ids, features, position)
  SELECT gen_random_uuid(), recommendation_id, credential.id, 'A course', 0.5, 'A reason', '{}',
    '{"similarity": 0.5}', 1
  FROM finished, (SELECT id FROM credential_catalog ORDER BY id LIMIT 1) AS credential WHERE kind > 0;
INSERT INTO recommendation_feedback (id, recommendation_id, organization_id, revision, submitted_by,
    submitted_by_role, relevance_score, submitted_at)
  SELECT gen_random_uuid(), recommendation_id, %(organization)s, 1, user_id, 'student', 1 + n %% 5, at
  FROM finished WHERE kind %% 5 = 1;
INSERT INTO result_revisions (assessment_id, revision, document)
  SELECT id, 1, jsonb_build_object('summary', repeat('A summary. ', 50)) FROM finished WHERE kind > 0;
INSERT INTO async_jobs (id, assessment_id, run, revision, job_type, status, started_at, completed_at)
  SELECT gen_random_uuid(), id, 1, 1, 'publish_result', 'succeeded', at, at FROM finished WHERE kind > 0;
INSERT INTO audit_logs (id, organization_id, actor_role, action, resource_type, resource_id, created_at, hash, position)
  SELECT gen_random_uuid(), %(organization)s, 'system', 'assessment.completed', 'assessment', id, at,
    repeat('0', 64), n + (SELECT coalesce(max(position), 0) FROM audit_logs)
  FROM finished;
INSERT INTO webhook_events (id, organization_id, assessment_id, event_type, payload, body, status, attempts, created_at)
  SELECT event_id, %(organization)s, id, 'assessment.completed', '{}', convert_to(repeat('x', 400), 'UTF8'),
    'delivered', 1, at
  FROM finished;
INSERT INTO webhook_deliveries
    (id, organization_id, event_id, endpoint_id, n, status, attempts, response_code, completed_at, created_at)
  SELECT gen_random_uuid(), %(organization)s, event_id, %(endpoint)s, 1, 'delivered', 1, 200, at, at FROM finished;
INSERT INTO review_items (question_snapshot_id, assessment_id, organization_id, user_id, role_id, question_id,
    reasons, waiting, revision, submitted_at)
  SELECT snapshot_id, id, %(organization)s, user_id, role_id, question_id, '{low_confidence}', true, 1, at
  FROM finished WHERE kind = 2
"""


def add_crowd(database_url: str, *, opened: int, finished: int) -> None:
    """Insert the assessments, `opened` of them in progress, and the organization's staff. Then clean up and analyze.

    The checkpoint makes later measurements comparable: all of them write whole pages into the WAL at first.
    """
    values = {
        "organization": ORGANIZATION,
        "advisor": ADVISOR,
        "admin": ADMIN,
        "endpoint": _ENDPOINT,
        "role": workload.ROLE_ID,
        "roles": ROLES,
        "open": opened,
        "finished": finished,
    }
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(_UNCHECKED)
        cursor = psycopg.ClientCursor(connection)
        for statement in f"{_STAFF};{_CROWD}".split(";"):
            cursor.execute(statement, values)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
