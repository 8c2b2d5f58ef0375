"""A time-skipping server, and workers of scripted activities on it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.failures import FailureInterceptor
from deploy.local.temporal import time_skipping_server
from tests.workflows.scripted import Rehearsal, ScriptedActivities
from workflows import search_attributes
from workflows.assessment import AssessmentWorkflow
from workflows.policies import Queue


@pytest.fixture(scope="session")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    server = str(time_skipping_server())
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=server, data_converter=pydantic_data_converter
    ) as running:
        # This server cannot list them, so `register` does not work on it.
        await running.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=running.client.namespace, search_attributes=search_attributes.TYPES)
        )
        yield running


@pytest.fixture
async def rehearsal(environment: WorkflowEnvironment) -> AsyncIterator[Rehearsal]:
    activities, suffix = ScriptedActivities(), f"-{uuid4()}"
    async with (
        Worker(
            environment.client,
            task_queue=Queue.ASSESSMENTS + suffix,
            workflows=[AssessmentWorkflow],
            activities=activities.all(),
            interceptors=[FailureInterceptor()],
        ),
        Worker(
            environment.client,
            task_queue=Queue.EMBEDDINGS + suffix,
            activities=activities.all(),
            interceptors=[FailureInterceptor()],
        ),
    ):
        yield Rehearsal(environment, activities, Queue.ASSESSMENTS + suffix)
