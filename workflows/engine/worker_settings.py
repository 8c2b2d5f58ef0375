"""Settings of a worker process."""

from decimal import Decimal
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from activities.score_essay import Grading
from domain.grading.ledger import SpendingLimits


class WorkerSettings(BaseSettings):
    """`WORKER_…`: slots are activities at a time, `reconcile_every_s` is how often lost work is looked for.

    `webhooks_slots_per_endpoint` is how many of the slots one partner's endpoint may hold. `workflow_slots` are
    workflow tasks at a time and `cached_workflows` runs in memory, for each of the two queues that have workflows;
    `pollers` is how many requests for work a queue may have open. `llm_rps` is how many activities a second the
    server gives out on `llm`, to all workers together; none is no limit.

    `KNN_SCOPE=all` lets learners of other organizations be neighbours.

    `WORKER_METRICS_ADDRESS`, such as 0.0.0.0:9464, is where Prometheus scrapes this process; none serves no metrics.

    With a `build_id` the worker is a version of the deployment and takes no task before a rollout gives it some.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="WORKER_", env_ignore_empty=True, extra="ignore")

    knn_scope: Literal["organization", "all"] = Field(default="organization", validation_alias="KNN_SCOPE")

    reconcile_every_s: int = 60
    llm_rps: float | None = Field(default=None, gt=0)
    workflow_slots: int = Field(default=100, ge=2)
    cached_workflows: int = Field(default=1000, ge=0)
    pollers: int = Field(default=100, ge=5)
    assessments_slots: int = 32
    llm_slots: int = 40
    embeddings_slots: int = 8
    webhooks_slots: int = 100
    webhooks_slots_per_endpoint: int = 10
    grace_s: int = 20
    metrics_address: str | None = Field(default=None, pattern=r"^(\[[0-9a-fA-F:]+\]|[\d.]+):\d+$")
    build_id: str | None = None
    deployment_name: str = "microcred"

    @property
    def deployment(self) -> WorkerDeploymentConfig | None:
        """Without a default behaviour: a workflow that `policies.VERSIONING` forgets stops the start."""
        if self.build_id is None:
            return None
        version = WorkerDeploymentVersion(deployment_name=self.deployment_name, build_id=self.build_id)
        return WorkerDeploymentConfig(version=version, use_worker_versioning=True)


class EssaySettings(BaseSettings):
    """`ESSAY_…`: who grades essays, how often each is asked for, and what may be bought.

    `ESSAY_GRADER=auto` is the language model where `OPENAI_API_KEY` is set and the local grader otherwise; workers
    without the key that share a deployment with some that have it need `openai`. `ESSAY_SAMPLES`: answers an essay.
    `ESSAY_ATTEMPTS_PER_DAY`: bought assessments a student, role and UTC day. `ESSAY_BUDGET_CENTS_PER_DAY`: of an
    organization; none is no limit.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="ESSAY_", env_ignore_empty=True, extra="ignore")

    grader: Literal["auto", "openai", "local"] = "auto"
    samples: int = Field(default=1, ge=1, le=9)
    attempts_per_day: int | None = Field(default=3, ge=1)
    budget_cents_per_day: Decimal | None = Field(default=None, gt=0)
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")

    @property
    def by_model(self) -> bool:
        key = self.openai_api_key.get_secret_value().strip() if self.openai_api_key else ""
        return self.grader == "openai" or (self.grader == "auto" and bool(key))

    @property
    def grading(self) -> Grading:
        limits = SpendingLimits(attempts_per_day=self.attempts_per_day, budget_cents_per_day=self.budget_cents_per_day)
        return Grading(samples=self.samples, limits=limits)
