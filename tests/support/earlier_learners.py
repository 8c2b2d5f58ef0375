"""Insert many learners who took a role before, for measurements of the recommender."""

from typing import Final
from uuid import UUID

import psycopg

from tests.support.builders import ROLE_ID

# Every learner has a score in every skill of the role, got five recommendations and rated three of them.
_ROWS: Final = """
SELECT setseed(0.5);
CREATE TEMPORARY TABLE earlier AS
  SELECT gen_random_uuid() AS user_id, gen_random_uuid() AS assessment_id, gen_random_uuid() AS id, n
  FROM generate_series(1, %(learners)s) AS n;
INSERT INTO users (id, organization_id, email, role)
  SELECT user_id, %(organization)s, user_id || '@example.org', 'student' FROM earlier;
INSERT INTO assessments (id, user_id, organization_id, role_id, status, revision, expires_at, completed_at)
  SELECT assessment_id, user_id, %(organization)s, %(role)s, 'completed', 1, now(), now() - n * interval '1 minute'
  FROM earlier;
INSERT INTO recommendations
    (id, assessment_id, revision, summary, degraded_reasons, status, generated_at, metrics, skills)
  SELECT id, assessment_id, 1, 'Earlier.', '{}', 'ready', now(),
    '{"blend_weights": {"gap_coverage": 0.4, "similarity": 0.2, "level_fit": 0.2, "neighbours": 0.2}}', (
    SELECT jsonb_object_agg(target ->> 'skill', round(CAST(random() AS numeric), 4)::text)
    FROM role_catalog, jsonb_array_elements(skills_profile) AS target WHERE role_catalog.id = %(role)s AND n > 0)
  FROM earlier;
INSERT INTO recommendation_items
    (id, recommendation_id, credential_id, title, confidence, rationale, source_trace_ids, features, position)
  SELECT gen_random_uuid(), earlier.id, shown.id, shown.title, 0.5, 'Earlier.', '{}',
    '{"gap_coverage": 0.4, "similarity": 0.5, "level_fit": 0.5, "neighbours": 0.5}', shown.place
  FROM earlier CROSS JOIN LATERAL (
    SELECT picked.id, picked.title, row_number() OVER (ORDER BY picked.id) AS place
    FROM (SELECT id, title FROM credential_catalog WHERE n > 0 ORDER BY random() LIMIT 5) AS picked) AS shown;
INSERT INTO recommendation_feedback
    (id, recommendation_id, revision, credential_id, submitted_by, submitted_by_role, relevance_score)
  SELECT gen_random_uuid(), earlier.id, 1, credential_id, user_id, 'student', 1 + floor(random() * 5)
  FROM earlier JOIN recommendation_items ON recommendation_id = earlier.id WHERE position <= 3;
"""


def add_earlier_learners(database_url: str, count: int, organization_id: UUID) -> None:
    """Insert and commit the learners, then run ANALYZE, which autovacuum would run later."""
    values = {"learners": count, "organization": organization_id, "role": ROLE_ID}
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        with psycopg.ClientCursor(connection) as cursor:
            cursor.execute(_ROWS, values)
        connection.execute("VACUUM ANALYZE")
