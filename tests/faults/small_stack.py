"""`python -m tests.faults.small_stack DIRECTORY [SCRIPT]`: run the real servers and one shell program as a stack."""

import sys
from pathlib import Path

from deploy.local.__main__ import run, stay
from deploy.local.plan import Plan, Service, plan
from deploy.local.process import Program
from deploy.local.settings import StackSettings
from workflows.engine.process_exit import leave

PROGRAM = "program"


def small(settings: StackSettings, local: Path) -> Plan:
    whole = plan(settings, local)
    servers = [part for part in whole.parts if part.name in ("postgres", "temporal")]
    script = sys.argv[2] if len(sys.argv) > 2 else "exec sleep 600"
    log = local / "logs" / f"{PROGRAM}.log"
    command = ("/bin/sh", "-c", script)
    program = Program(name=PROGRAM, command=command, log=log, env=whole.environment, cwd=local)
    return Plan((*servers, Service(program)), whole.environment)


if __name__ == "__main__":
    leave(run(stay, Path(sys.argv[1]), small))
