"""The command that makes an installation's first account."""

import subprocess
import sys

import psycopg
import pytest

from deploy.local.settings import CHECKOUT
from tests.deployment import libpq, stack_environment

EMAIL, PASSWORD = "first@platform.example", "correct horse battery"


def command(url: str, email: str = EMAIL, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "api.create_platform_admin", email],
        cwd=CHECKOUT,
        env=stack_environment(url),
        input=f"{password}\n",
        capture_output=True,
        text=True,
        check=False,
    )


def people(url: str) -> list[tuple[str, str, bool]]:
    with psycopg.connect(libpq(url)) as connection:
        return connection.execute("SELECT email::text, role, organization_id IS NULL FROM users").fetchall()


def test_it_makes_an_admin_of_the_platform_with_an_audit_row(clean_database: str) -> None:
    done = command(clean_database)

    assert done.returncode == 0, done.stderr
    assert people(clean_database) == [(EMAIL, "admin", True)]
    with psycopg.connect(libpq(clean_database)) as connection:
        assert connection.execute("SELECT action, actor_role FROM audit_logs").fetchall() == [
            ("user.created", "system")
        ]


@pytest.mark.parametrize(
    ("email", "password", "problem"),
    [
        ("nobody", PASSWORD, "email"),
        ("fİrst@platform.example", PASSWORD, "email"),
        (EMAIL, "short", "password"),
        (EMAIL, "x" * 73, "password"),
        (EMAIL, " " * 12, "password"),
        (EMAIL, "first@platform", "password"),
    ],
)
def test_what_the_api_would_refuse_it_refuses(clean_database: str, email: str, password: str, problem: str) -> None:
    done = command(clean_database, email, password)

    assert done.returncode == 1
    assert done.stderr.startswith(f"{problem}: ")
    assert password not in done.stderr
    assert people(clean_database) == []


def test_an_address_that_is_taken_is_refused(clean_database: str) -> None:
    command(clean_database)

    done = command(clean_database)

    assert (done.returncode, done.stderr) == (1, "The e-mail address is taken\n")
