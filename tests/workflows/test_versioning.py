"""The versioning of workflows and workers."""

from temporalio.common import WorkerDeploymentVersion

from workflows.engine.worker_settings import WorkerSettings
from workflows.engine.workers import WORKFLOWS
from workflows.policies import VERSIONING


def test_every_workflow_has_a_versioning_behaviour() -> None:
    registered = {workflow.__name__ for workflows in WORKFLOWS.values() for workflow in workflows}

    assert set(VERSIONING) == registered


def test_a_worker_with_a_build_id_is_a_version_of_the_deployment() -> None:
    deployment = WorkerSettings(build_id="5f2c1d0").deployment

    assert deployment is not None
    assert deployment.use_worker_versioning
    assert deployment.version == WorkerDeploymentVersion("microcred", "5f2c1d0")


def test_a_worker_without_a_build_id_has_no_version() -> None:
    assert WorkerSettings().deployment is None
