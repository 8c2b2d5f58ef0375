"""The smoke test, against a deployment."""

import subprocess
import sys

import pytest

from deploy.local.settings import CHECKOUT
from tests.support.deployment import Deployment

pytestmark = pytest.mark.timeout(600)  # the first test starts everything

ACCOUNT = {"SMOKE_EMAIL": "smoke@demo.example", "SMOKE_PASSWORD": "a-password-of-the-pipeline"}


def run(deployment: Deployment, module: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = deployment.environment | ACCOUNT | more
    command = [sys.executable, "-m", module]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def test_a_working_deployment_passes_from_the_start_to_feedback(deployment: Deployment) -> None:
    made = run(deployment, "deploy.smoke_account")
    walked = run(deployment, "deploy.smoke")

    assert (made.returncode, walked.returncode) == (0, 0), made.stderr + walked.stdout + walked.stderr
    assert walked.stdout.splitlines()[-1] == "feedback: accepted"
    feedback = "SELECT count(*) FROM recommendation_feedback WHERE comments = 'Smoke test'"
    assert deployment.rows(feedback) == [(1,)]


def test_who_cannot_log_in_fails_it(deployment: Deployment) -> None:
    walked = run(deployment, "deploy.smoke", SMOKE_PASSWORD="another-password")

    assert walked.returncode == 1
    assert "FAILED: POST /api/v1/auth/token: 401" in walked.stdout
    assert "another-password" not in walked.stdout + walked.stderr


def test_what_never_becomes_ready_fails_it(deployment: Deployment) -> None:
    nobody = {"API_URL": "http://127.0.0.1:9", "SMOKE_WITHIN_S": "0.1"}

    walked = run(deployment, "deploy.smoke", **nobody)

    assert (walked.returncode, "Not ready" in walked.stdout) == (1, True)


def test_production_has_no_account_that_a_pipeline_knows(deployment: Deployment) -> None:
    made = run(deployment, "deploy.smoke_account", MICROCRED_ENV="production", SMOKE_EMAIL="other@demo.example")

    assert made.returncode != 0
    assert deployment.rows("SELECT count(*) FROM users WHERE email = 'other@demo.example'") == [(0,)]
