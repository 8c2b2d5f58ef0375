"""Create the initial schema."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PEOPLE = """
CREATE TABLE organizations (
  id UUID PRIMARY KEY,
  name VARCHAR(128) NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE users (
  id UUID PRIMARY KEY,
  organization_id UUID REFERENCES organizations,
  email CITEXT NOT NULL UNIQUE,
  password_hash VARCHAR(128),
  token_version INTEGER NOT NULL DEFAULT 0,
  role VARCHAR(32) NOT NULL CHECK (role IN ('student', 'advisor', 'admin')),
  profile JSONB,
  status VARCHAR(16) NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'erasing', 'erased')),
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT users_organization_check CHECK (organization_id IS NOT NULL OR role = 'admin')
);
CREATE INDEX idx_users_erasing ON users (id) WHERE status = 'erasing';
CREATE INDEX idx_users_organization ON users (organization_id, created_at, id);

CREATE TABLE refresh_tokens (
  id UUID PRIMARY KEY,
  user_id UUID NOT NULL REFERENCES users ON DELETE CASCADE,
  family UUID NOT NULL,
  token_hash VARCHAR(64) NOT NULL UNIQUE,
  expires_at TIMESTAMPTZ NOT NULL,
  used_at TIMESTAMPTZ,
  revoked_at TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_refresh_tokens_expires_at ON refresh_tokens (expires_at);
CREATE INDEX idx_refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX idx_refresh_tokens_user ON refresh_tokens (user_id);
"""

CATALOGUE = """
CREATE TABLE role_catalog (
  id UUID PRIMARY KEY,
  key VARCHAR(64) NOT NULL UNIQUE,
  name VARCHAR(64) NOT NULL,
  description TEXT NOT NULL,
  skills_profile JSONB NOT NULL,
  prerequisites UUID[] NOT NULL DEFAULT '{}',
  version VARCHAR(64) NOT NULL,
  active BOOLEAN NOT NULL DEFAULT true,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE questions (
  id UUID PRIMARY KEY,
  key VARCHAR(64) NOT NULL UNIQUE,
  role_id UUID NOT NULL REFERENCES role_catalog,
  position INTEGER NOT NULL,
  question_type VARCHAR(32) NOT NULL CHECK (question_type IN ('multiple_choice', 'essay', 'profile')),
  kind VARCHAR(16) NOT NULL CHECK (kind IN ('single', 'multiple', 'number', 'scale', 'text')),
  prompt TEXT NOT NULL,
  choices JSONB,
  answer_format JSONB NOT NULL,
  rubric JSONB NOT NULL,
  weight NUMERIC(5, 2) NOT NULL,
  version VARCHAR(64) NOT NULL,
  active BOOLEAN NOT NULL DEFAULT true,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_questions_role ON questions (role_id, position);

CREATE TABLE credential_catalog (
  id UUID PRIMARY KEY,
  key VARCHAR(128) NOT NULL UNIQUE,
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  skills TEXT[] NOT NULL DEFAULT '{}',
  level VARCHAR(16) NOT NULL CHECK (level IN ('foundation', 'intermediate', 'advanced')),
  hours NUMERIC(7, 2) NOT NULL CHECK (hours > 0),
  provider TEXT NOT NULL,
  source_uri TEXT NOT NULL,
  prerequisites UUID[] NOT NULL DEFAULT '{}',
  version VARCHAR(64) NOT NULL,
  text_hash VARCHAR(64) NOT NULL,
  metadata JSONB,
  search TSVECTOR NOT NULL GENERATED ALWAYS AS (
    setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', description), 'B')
  ) STORED,
  active BOOLEAN NOT NULL DEFAULT true,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_credential_catalog_search ON credential_catalog USING gin (search);
CREATE INDEX idx_credential_catalog_skills ON credential_catalog USING gin (skills);
CREATE INDEX idx_credential_catalog_title ON credential_catalog (title, id);

CREATE TABLE content_versions (
  entity_type VARCHAR(32) CHECK (entity_type IN ('role', 'question', 'credential')),
  entity_id UUID,
  version VARCHAR(64),
  document JSONB NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (entity_type, entity_id, version)
);

CREATE TABLE catalog_imports (
  id UUID PRIMARY KEY,
  requested_by UUID REFERENCES users ON DELETE SET NULL,
  status VARCHAR(16) NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed')),
  row_count INTEGER NOT NULL,
  report JSONB,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  completed_at TIMESTAMPTZ
);
CREATE INDEX idx_catalog_imports_unfinished ON catalog_imports (id) WHERE status IN ('queued', 'running');

CREATE TABLE embedding_artifacts (
  id UUID PRIMARY KEY,
  entity_type VARCHAR(32) NOT NULL,
  entity_id UUID NOT NULL,
  provider VARCHAR(32) NOT NULL,
  model VARCHAR(128) NOT NULL,
  text_hash VARCHAR(64) NOT NULL,
  vector VECTOR(384) NOT NULL,
  raw_embedding BYTEA,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT embedding_artifacts_key UNIQUE (entity_type, entity_id, provider, model, text_hash)
);
CREATE INDEX idx_embedding_artifacts_provider ON embedding_artifacts (provider);
CREATE INDEX idx_embedding_artifacts_vector ON embedding_artifacts USING hnsw (vector vector_cosine_ops);

CREATE TABLE learner_credentials (
  user_id UUID REFERENCES users ON DELETE CASCADE,
  credential_id UUID REFERENCES credential_catalog,
  earned_at DATE NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, credential_id)
);
"""

ASSESSMENTS = """
CREATE TABLE assessments (
  id UUID PRIMARY KEY,
  user_id UUID NOT NULL REFERENCES users,
  organization_id UUID NOT NULL REFERENCES organizations,
  role_id UUID NOT NULL REFERENCES role_catalog,
  status VARCHAR(24) NOT NULL CHECK (status IN ('in_progress', 'awaiting_async', 'completed', 'failed')),
  run INTEGER NOT NULL DEFAULT 1 CHECK (run >= 1),
  revision INTEGER NOT NULL DEFAULT 0 CHECK (revision >= 0),
  degraded BOOLEAN NOT NULL DEFAULT false,
  needs_review BOOLEAN NOT NULL DEFAULT false,
  healing VARCHAR(16) NOT NULL DEFAULT 'none' CHECK (healing IN ('none', 'due', 'final', 'stopped')),
  failure_reason VARCHAR(64),
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  expires_at TIMESTAMPTZ NOT NULL,
  submitted_at TIMESTAMPTZ,
  claimed_at TIMESTAMPTZ,
  completed_at TIMESTAMPTZ,
  metadata JSONB,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT assessments_published_check CHECK (status <> 'completed' OR revision >= 1),
  CONSTRAINT assessments_failure_reason_check CHECK (status <> 'failed' OR failure_reason IS NOT NULL)
);
CREATE UNIQUE INDEX assessments_in_progress_key ON assessments (user_id, role_id)
  WHERE status = 'in_progress';
CREATE INDEX idx_assessments_due ON assessments (expires_at) WHERE status = 'in_progress';
CREATE INDEX idx_assessments_healing ON assessments (id) WHERE healing = 'due';
CREATE INDEX idx_assessments_needs_review ON assessments (organization_id, created_at, id)
  WHERE needs_review;
CREATE INDEX idx_assessments_open ON assessments (id) WHERE status IN ('in_progress', 'awaiting_async');
CREATE INDEX idx_assessments_organization ON assessments (organization_id, created_at, id);
CREATE INDEX idx_assessments_role_completed ON assessments (role_id, completed_at) WHERE revision > 0;
CREATE INDEX idx_assessments_status ON assessments (status);
CREATE INDEX idx_assessments_user ON assessments (user_id);
CREATE INDEX idx_assessments_user_created_at ON assessments (user_id, created_at, id);

CREATE TABLE assessment_question_snapshots (
  id UUID PRIMARY KEY,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  question_id UUID NOT NULL,
  position INTEGER NOT NULL,
  prompt TEXT NOT NULL,
  rubric JSONB NOT NULL,
  question_type VARCHAR(32) NOT NULL CHECK (question_type IN ('multiple_choice', 'essay', 'profile')),
  kind VARCHAR(16) NOT NULL CHECK (kind IN ('single', 'multiple', 'number', 'scale', 'text')),
  choices JSONB,
  answer_format JSONB NOT NULL,
  weight NUMERIC(5, 2) NOT NULL,
  version VARCHAR(64) NOT NULL,
  UNIQUE (assessment_id, question_id)
);

CREATE TABLE assessment_responses (
  id UUID PRIMARY KEY,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  question_snapshot_id UUID NOT NULL REFERENCES assessment_question_snapshots ON DELETE CASCADE,
  answer JSONB NOT NULL,
  submitted_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  UNIQUE (assessment_id, question_snapshot_id)
);
CREATE INDEX idx_assessment_responses_snapshot ON assessment_responses (question_snapshot_id);

CREATE TABLE async_jobs (
  id UUID PRIMARY KEY,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  run INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  item UUID,
  job_type VARCHAR(32) NOT NULL,
  status VARCHAR(24) NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'stale')),
  attempts INTEGER NOT NULL DEFAULT 0,
  payload JSONB,
  error_payload JSONB,
  queued_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  started_at TIMESTAMPTZ,
  completed_at TIMESTAMPTZ,
  next_run_at TIMESTAMPTZ
);
CREATE INDEX idx_async_jobs_assessment ON async_jobs (assessment_id, run, revision);
CREATE INDEX idx_async_jobs_running ON async_jobs (started_at) WHERE status = 'running';
CREATE INDEX idx_async_jobs_status_next_run ON async_jobs (status, next_run_at);
"""

RESULTS = """
CREATE TABLE rule_scores (
  id UUID PRIMARY KEY,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  question_snapshot_id UUID NOT NULL REFERENCES assessment_question_snapshots ON DELETE CASCADE,
  score NUMERIC(7, 4) NOT NULL,
  explanation TEXT NOT NULL,
  rules_applied JSONB NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  UNIQUE (assessment_id, question_snapshot_id)
);
CREATE INDEX idx_rule_scores_snapshot ON rule_scores (question_snapshot_id);

CREATE TABLE essay_scores (
  id UUID PRIMARY KEY,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  question_snapshot_id UUID NOT NULL REFERENCES assessment_question_snapshots ON DELETE CASCADE,
  score NUMERIC(7, 4),
  model VARCHAR(128) NOT NULL,
  prompt_version VARCHAR(64) NOT NULL,
  latency_ms INTEGER NOT NULL,
  cost_cents NUMERIC(14, 6),
  response_payload JSONB NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  UNIQUE (assessment_id, question_snapshot_id)
);
CREATE INDEX idx_essay_scores_snapshot ON essay_scores (question_snapshot_id);

CREATE TABLE model_answers (
  id UUID PRIMARY KEY,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  question_snapshot_id UUID NOT NULL REFERENCES assessment_question_snapshots ON DELETE CASCADE,
  rubric_hash VARCHAR(64) NOT NULL,
  prompt_hash VARCHAR(64) NOT NULL,
  model VARCHAR(128) NOT NULL,
  sample INTEGER NOT NULL,
  round INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  variant VARCHAR(16) NOT NULL CHECK (variant IN ('full', 'stripped')),
  status VARCHAR(16) NOT NULL CHECK (status IN ('intended', 'answered', 'failed')),
  lease_until TIMESTAMPTZ,
  request_id TEXT,
  raw_reply BYTEA,
  prompt_tokens INTEGER,
  cached_tokens INTEGER,
  completion_tokens INTEGER,
  latency_ms INTEGER,
  cost_cents NUMERIC(14, 6),
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  answered_at TIMESTAMPTZ,
  CONSTRAINT model_answers_key UNIQUE
    (assessment_id, question_snapshot_id, rubric_hash, prompt_hash, model, sample, round, epoch, variant)
);
CREATE INDEX idx_model_answers_snapshot ON model_answers (question_snapshot_id);

CREATE TABLE recommendations (
  id UUID PRIMARY KEY,
  assessment_id UUID NOT NULL UNIQUE REFERENCES assessments ON DELETE CASCADE,
  revision INTEGER NOT NULL,
  summary TEXT NOT NULL,
  degraded BOOLEAN NOT NULL DEFAULT false,
  degraded_reasons TEXT[] NOT NULL DEFAULT '{}',
  status VARCHAR(24) NOT NULL CHECK (status IN ('pending', 'ready', 'failed')),
  generated_at TIMESTAMPTZ NOT NULL,
  metrics JSONB NOT NULL,
  skills JSONB NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_recommendations_status ON recommendations (status);

CREATE TABLE recommendation_items (
  id UUID PRIMARY KEY,
  recommendation_id UUID NOT NULL REFERENCES recommendations ON DELETE CASCADE,
  credential_id UUID NOT NULL REFERENCES credential_catalog,
  title TEXT NOT NULL,
  confidence NUMERIC(5, 3) NOT NULL,
  rationale TEXT NOT NULL,
  source_trace_ids UUID[] NOT NULL,
  features JSONB NOT NULL,
  position INTEGER NOT NULL,
  UNIQUE (recommendation_id, credential_id)
);
CREATE INDEX idx_recommendation_items_position ON recommendation_items (recommendation_id, position);

CREATE TABLE rag_traces (
  id UUID PRIMARY KEY,
  recommendation_id UUID NOT NULL REFERENCES recommendations ON DELETE CASCADE,
  credential_id UUID NOT NULL REFERENCES credential_catalog,
  skill TEXT NOT NULL,
  position INTEGER NOT NULL,
  source_uri TEXT NOT NULL,
  snippet TEXT NOT NULL,
  similarity NUMERIC(5, 3) NOT NULL,
  embedding_artifact_id UUID NOT NULL REFERENCES embedding_artifacts,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_rag_traces_artifact ON rag_traces (embedding_artifact_id);
CREATE INDEX idx_rag_traces_recommendation ON rag_traces (recommendation_id, position);

CREATE TABLE result_revisions (
  assessment_id UUID REFERENCES assessments ON DELETE CASCADE,
  revision INTEGER,
  document JSONB NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (assessment_id, revision)
);
"""

FEEDBACK = """
CREATE TABLE recommendation_feedback (
  id UUID PRIMARY KEY,
  recommendation_id UUID NOT NULL REFERENCES recommendations ON DELETE CASCADE,
  revision INTEGER NOT NULL,
  credential_id UUID REFERENCES credential_catalog,
  submitted_by UUID NOT NULL REFERENCES users,
  submitted_by_role VARCHAR(16) NOT NULL,
  relevance_score INTEGER CHECK (relevance_score BETWEEN 1 AND 5),
  acceptance_status VARCHAR(16) CHECK (acceptance_status IN ('accepted', 'rejected', 'pending')),
  comments TEXT,
  submitted_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_recommendation_feedback_reco ON recommendation_feedback (recommendation_id);

CREATE TABLE essay_reviews (
  id UUID PRIMARY KEY,
  assessment_id UUID NOT NULL REFERENCES assessments ON DELETE CASCADE,
  question_snapshot_id UUID NOT NULL REFERENCES assessment_question_snapshots ON DELETE CASCADE,
  reviewer_id UUID NOT NULL REFERENCES users,
  levels JSONB NOT NULL,
  comment TEXT,
  published_revision INTEGER,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_essay_reviews_assessment ON essay_reviews (assessment_id, question_snapshot_id);
CREATE INDEX idx_essay_reviews_unpublished ON essay_reviews (assessment_id) WHERE published_revision IS NULL;
"""

WEBHOOKS = """
CREATE TABLE webhook_endpoints (
  id UUID PRIMARY KEY,
  organization_id UUID NOT NULL REFERENCES organizations,
  url TEXT NOT NULL,
  event_types TEXT[] NOT NULL DEFAULT '{}',
  secret BYTEA NOT NULL,
  previous_secret BYTEA,
  previous_secret_until TIMESTAMPTZ,
  enabled BOOLEAN NOT NULL DEFAULT true,
  rate_limit_per_minute INTEGER CHECK (rate_limit_per_minute > 0),
  failing_since TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_webhook_endpoints_organization ON webhook_endpoints (organization_id, created_at, id);

CREATE TABLE webhook_events (
  id UUID PRIMARY KEY,
  organization_id UUID NOT NULL REFERENCES organizations,
  assessment_id UUID REFERENCES assessments ON DELETE CASCADE,
  event_type VARCHAR(32) NOT NULL,
  payload JSONB NOT NULL,
  body BYTEA NOT NULL,
  status VARCHAR(24) NOT NULL
    CHECK (status IN ('pending', 'delivered', 'dead_letter', 'cancelled', 'unsubscribed')),
  response_code INTEGER,
  last_attempt TIMESTAMPTZ,
  attempts INTEGER NOT NULL DEFAULT 0,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_webhook_events_assessment ON webhook_events (assessment_id);
CREATE INDEX idx_webhook_events_organization ON webhook_events (organization_id, created_at, id);

CREATE TABLE webhook_deliveries (
  id UUID PRIMARY KEY,
  organization_id UUID NOT NULL REFERENCES organizations,
  event_id UUID NOT NULL REFERENCES webhook_events ON DELETE CASCADE,
  endpoint_id UUID NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
  n INTEGER NOT NULL,
  status VARCHAR(24) NOT NULL CHECK (status IN ('pending', 'delivered', 'dead_letter', 'cancelled')),
  attempts INTEGER NOT NULL DEFAULT 0,
  response_code INTEGER,
  last_attempt_at TIMESTAMPTZ,
  next_attempt_at TIMESTAMPTZ,
  completed_at TIMESTAMPTZ,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  UNIQUE (event_id, endpoint_id, n)
);
CREATE INDEX idx_webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, created_at, id);
CREATE INDEX idx_webhook_deliveries_organization ON webhook_deliveries (organization_id, created_at, id);
CREATE INDEX idx_webhook_deliveries_pending ON webhook_deliveries (id) WHERE status = 'pending';

CREATE TABLE webhook_attempts (
  id UUID PRIMARY KEY,
  delivery_id UUID NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
  n INTEGER NOT NULL,
  outcome VARCHAR(64) NOT NULL,
  response_code INTEGER,
  response_excerpt TEXT,
  latency_ms INTEGER NOT NULL,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  UNIQUE (delivery_id, n)
);
CREATE INDEX idx_webhook_attempts_started_at ON webhook_attempts (started_at);
"""

OPERATIONS = """
CREATE TABLE audit_logs (
  id UUID PRIMARY KEY,
  seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
  organization_id UUID,
  actor_id UUID,
  actor_role VARCHAR(16),
  action VARCHAR(64) NOT NULL,
  resource_type VARCHAR(32) NOT NULL,
  resource_id UUID,
  correlation_id VARCHAR(128),
  metadata JSONB,
  hash VARCHAR(64),
  created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_audit_logs_organization ON audit_logs (organization_id, created_at, id);
CREATE INDEX idx_audit_logs_resource ON audit_logs (resource_type, resource_id);

CREATE TABLE metric_snapshots (
  id UUID PRIMARY KEY,
  assessment_id UUID REFERENCES assessments ON DELETE CASCADE,
  metric_type VARCHAR(32) NOT NULL,
  value NUMERIC(16, 6) NOT NULL,
  context JSONB,
  captured_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_metric_snapshots_assessment ON metric_snapshots (assessment_id);
CREATE INDEX idx_metric_snapshots_type ON metric_snapshots (metric_type, captured_at);

CREATE TABLE idempotency_keys (
  id UUID PRIMARY KEY,
  organization_id UUID REFERENCES organizations ON DELETE CASCADE,
  user_id UUID NOT NULL REFERENCES users ON DELETE CASCADE,
  method VARCHAR(8) NOT NULL,
  route VARCHAR(255) NOT NULL,
  key VARCHAR(255) NOT NULL,
  request_hash VARCHAR(64) NOT NULL,
  response_status INTEGER NOT NULL,
  response_body BYTEA NOT NULL,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  expires_at TIMESTAMPTZ NOT NULL,
  CONSTRAINT idempotency_keys_key UNIQUE NULLS NOT DISTINCT (organization_id, user_id, method, route, key)
);
CREATE INDEX idx_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE INDEX idx_idempotency_keys_user ON idempotency_keys (user_id);
"""

TABLES = (
    "organizations",
    "users",
    "refresh_tokens",
    "role_catalog",
    "questions",
    "credential_catalog",
    "content_versions",
    "catalog_imports",
    "embedding_artifacts",
    "learner_credentials",
    "assessments",
    "assessment_question_snapshots",
    "assessment_responses",
    "async_jobs",
    "rule_scores",
    "essay_scores",
    "model_answers",
    "recommendations",
    "recommendation_items",
    "rag_traces",
    "result_revisions",
    "recommendation_feedback",
    "essay_reviews",
    "webhook_endpoints",
    "webhook_events",
    "webhook_deliveries",
    "webhook_attempts",
    "audit_logs",
    "metric_snapshots",
    "idempotency_keys",
)


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS citext")
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    for statements in (PEOPLE, CATALOGUE, ASSESSMENTS, RESULTS, FEEDBACK, WEBHOOKS, OPERATIONS):
        op.execute(statements)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP EXTENSION vector")
    op.execute("DROP EXTENSION citext")
