"""The command that creates the first account of an installation."""

import os
import pty
import subprocess
import sys
from contextlib import suppress

import psycopg
import pytest

from deploy.local.settings import CHECKOUT
from tests.support.deployment import libpq, stack_environment

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
    assert done.stdout == f"Created the platform admin {EMAIL}.\n"
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


def on_a_terminal(url: str, *lines: str) -> tuple[int, str]:
    """Run the command on a pseudo-terminal and answer each prompt with a line. Return the exit code and the output."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "api.create_platform_admin", EMAIL],
        cwd=CHECKOUT,
        env=stack_environment(url),
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,  # detaches it from the terminal that runs the tests
    )
    os.close(end)
    shown = b""
    waiting = list(lines)
    with suppress(OSError):  # Linux raises an error when the program on the terminal has ended
        while part := os.read(terminal, 1024):
            shown += part
            if waiting and shown.endswith(b": "):
                os.write(terminal, f"{waiting.pop(0)}\n".encode())
    os.close(terminal)
    return process.wait(), shown.decode()


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(clean_database: str) -> None:
    code, shown = on_a_terminal(clean_database, PASSWORD, PASSWORD)

    assert code == 0, shown
    assert [line.strip() for line in shown.splitlines()] == [
        "Password:",
        "Repeat the password:",
        f"Created the platform admin {EMAIL}.",
    ]
    assert people(clean_database) == [(EMAIL, "admin", True)]


def test_two_different_passwords_create_no_account(clean_database: str) -> None:
    code, shown = on_a_terminal(clean_database, PASSWORD, f"{PASSWORD}!")

    assert code == 1
    assert "The passwords differ. No account was created." in shown
    assert PASSWORD not in shown
    assert people(clean_database) == []
