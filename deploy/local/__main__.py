"""Run the local stack from the command line: `python -m deploy.local up|demo|reset`."""

import argparse
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from deploy.local import ports
from deploy.local.plan import Plan, plan
from deploy.local.private_files import env_file, write
from deploy.local.settings import INSTALLED, LOCAL, StackSettings
from deploy.local.stack import AlreadyRunningError, Stack, StopSignals, locked, say, supervise
from workflows.engine.process_exit import run_and_leave

AFTER_A_KILL_S = 15.0
"""How long the servers of a killed stack may take to release their ports."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("command", choices=("up", "demo", "reset"))
    command = parser.parse_args().command
    try:
        if command == "reset":
            return reset(LOCAL)
        up = stay_with_learners if StackSettings().demo else stay
        return run(up if command == "up" else show, LOCAL)
    except AlreadyRunningError as error:
        say(str(error))
    except ValidationError as error:
        for problem in error.errors():
            say(f"{'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}")
    except PermissionError as error:
        say(f"{error.filename}: {error.strerror}. If another user created it, run `make reset` as that user.")
    except KeyboardInterrupt:
        say("Stopped before a server was started.")
    return 1


def run(
    work: Callable[[Stack, Plan], int], local: Path, make_plan: Callable[[StackSettings, Path], Plan] = plan
) -> int:
    """Start the stack, run `work` on it, stop it, and return the exit code of `supervise`.

    Raises:
        AlreadyRunningError: another stack runs on `local`.
        ValidationError: a variable of the environment is invalid.
    """
    settings = StackSettings()
    stack_env = local / "stack.env"
    with locked(local) as was_killed:
        stack_env.unlink(missing_ok=True)
        if taken := ports.check(settings.ports, patience_s=AFTER_A_KILL_S if was_killed else 0.0):
            say("\n".join(taken))
            return 1
        the_plan = make_plan(settings, local)

        def published(stack: Stack) -> int:
            write(stack_env, env_file(the_plan.published))
            try:
                return work(stack, the_plan)
            finally:
                stack_env.unlink(missing_ok=True)

        return supervise(the_plan.parts, StopSignals().listen(), published)


def reset(local: Path) -> int:
    """Delete the stack's data, but no installed programs. Raises AlreadyRunningError while a stack runs on it."""
    with locked(local):
        for each in local.iterdir():
            if each.name in INSTALLED:
                continue
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
    say(f"The data in {local} is deleted. Installed programs are kept.")
    return 0


def stay(stack: Stack, the_plan: Plan) -> int:
    """Print the addresses and run until a signal stops the stack."""
    environment = the_plan.environment
    say(f"\nPages      {environment['API_URL']}")
    for account in ("STUDENT", "ADVISOR", "ADMIN"):
        say(f"           {environment[f'{account}_EMAIL']}  {environment[f'{account}_PASSWORD']}")
    say(f"API        {environment['API_URL']}/docs")
    say(f"Temporal   {environment['TEMPORAL_UI_URL'] or environment['TEMPORAL_ADDRESS']}")
    say("Accounts   .local/stack.env\nLogs       .local/logs\nPress Ctrl-C to stop.\n")
    stack.watch(until=lambda: False)
    return 0


def stay_with_learners(stack: Stack, the_plan: Plan) -> int:
    """Add the demo's learners and run until a signal stops the stack."""
    from deploy.local.demo import populate  # noqa: PLC0415  # only the demo needs it

    return _watched(stack, the_plan, populate) or stay(stack, the_plan)


def show(stack: Stack, the_plan: Plan) -> int:
    """Run the demo. On a terminal, stay afterwards."""
    from deploy.local.demo import walk  # noqa: PLC0415  # only the demo needs it

    if code := _watched(stack, the_plan, walk):
        return code
    if sys.stdin.isatty() and sys.stdout.isatty():
        return stay(stack, the_plan)
    say("\nThe stack stops now. `make up DEMO=on` starts it again with this data.")
    return 0


def _watched(stack: Stack, the_plan: Plan, work: Callable[[dict[str, str]], int]) -> int:
    """Run `work` in a thread, so that Ctrl-C and failing servers are noticed. Return its exit code."""
    working = ThreadPoolExecutor(1).submit(work, the_plan.published)
    stack.watch(until=working.done)
    return working.result()


if __name__ == "__main__":
    run_and_leave(main)
