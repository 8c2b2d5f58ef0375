"""Settings of a worker process."""

from decimal import Decimal
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

from activities.score_essay import GradingOptions
from domain.grading.ledger import SpendingLimits

WORKFLOW_POLLERS: Final = 5
"""The open poll requests for workflow tasks of `assessments`."""


class WorkerSettings(BaseSettings):
    """The variables `WORKER_…` and `KNN_SCOPE`.

    Concurrency: `…_slots` are concurrent activities of a queue, of which `webhooks_slots_per_endpoint` may serve one
    endpoint. `workflow_slots` are concurrent workflow tasks on `assessments`, more than WORKFLOW_POLLERS; on `webhooks`
    there are as many as activities. `cached_workflows` (runs in memory) applies to each of these two queues. `pollers`
    is the maximum of open poll requests of a queue. `llm_rps` is the number of activities per second that the server
    dispatches on `llm` to all workers together; None means no limit. Running activities have `grace_s` to finish after
    SIGTERM; on `llm` they have `llm_grace_s`, because a call that is cut off is paid for again.

    `reconcile_every_s` is the interval of urgent sweeps; `domain.sweeps` names the others. `knn_scope="all"` includes
    learners of other organizations among the neighbours. Prometheus scrapes `metrics_address`, such as 0.0.0.0:9464;
    None disables metrics. A worker with a `build_id` is a version of the deployment and receives tasks only after a
    rollout has made it current.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="WORKER_", env_ignore_empty=True, extra="ignore")

    knn_scope: Literal["organization", "all"] = Field(default="organization", validation_alias="KNN_SCOPE")

    reconcile_every_s: int = Field(default=60, ge=1)
    llm_rps: float | None = Field(default=None, gt=0)
    workflow_slots: int = Field(default=10, ge=2)
    cached_workflows: int = Field(default=1000, ge=0)
    pollers: int = Field(default=100, ge=5)
    assessments_slots: int = Field(default=6, ge=1)
    llm_slots: int = Field(default=40, ge=1)
    embeddings_slots: int = Field(default=4, ge=1)
    webhooks_slots: int = Field(default=100, ge=2)
    webhooks_slots_per_endpoint: int = Field(default=10, ge=1)
    grace_s: int = Field(default=20, ge=0)
    llm_grace_s: int = Field(default=75, ge=0)
    metrics_address: str | None = Field(default=None, pattern=r"^(\[[0-9a-fA-F:]+\]|[\d.]+):\d+$")
    build_id: str | None = None
    deployment_name: str = "microcred"

    @model_validator(mode="after")
    def _leave_a_slot_for_new_runs(self) -> Self:
        """Each poller holds a slot while it waits. With too few slots, those for cached runs would hold all of them."""
        if self.cached_workflows and self.workflow_slots <= WORKFLOW_POLLERS:
            raise ValueError(f"WORKER_WORKFLOW_SLOTS must be at least {WORKFLOW_POLLERS + 1} with cached runs")
        return self

    @property
    def deployment(self) -> WorkerDeploymentConfig | None:
        """The worker's version. It has no default behaviour, so a start fails if `VERSIONING` lacks a workflow."""
        if self.build_id is None:
            return None
        version = WorkerDeploymentVersion(deployment_name=self.deployment_name, build_id=self.build_id)
        return WorkerDeploymentConfig(version=version, use_worker_versioning=True)


class EssaySettings(BaseSettings):
    """The variables `ESSAY_…` and `OPENAI_API_KEY`: the grader of essays and its spending limits.

    `grader="auto"` uses the language model if `OPENAI_API_KEY` is set, otherwise the local grader. A worker without
    the key needs `openai` if another worker of the deployment has the key. `samples` is the number of gradings of each
    essay, `most_samples` the most of a doubtful one. `attempts_per_day` limits the assessments that the language model
    grades per student, role and UTC day. `budget_cents_per_day` applies to an organization. None means no limit.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="ESSAY_", env_ignore_empty=True, extra="ignore")

    grader: Literal["auto", "openai", "local"] = "auto"
    samples: int = Field(default=1, ge=1, le=9)
    most_samples: int = Field(default=3, ge=1, le=9)
    attempts_per_day: int | None = Field(default=3, ge=1)
    budget_cents_per_day: Decimal | None = Field(default=None, gt=0)
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")

    @property
    def by_model(self) -> bool:
        key = self.openai_api_key.get_secret_value().strip() if self.openai_api_key else ""
        return self.grader == "openai" or (self.grader == "auto" and bool(key))

    @property
    def grading(self) -> GradingOptions:
        limits = SpendingLimits(attempts_per_day=self.attempts_per_day, budget_cents_per_day=self.budget_cents_per_day)
        return GradingOptions(samples=self.samples, most_samples=self.most_samples, limits=limits)
