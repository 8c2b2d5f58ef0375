"""The script that creates Temporal's role and databases on a new volume."""

import os
import shutil
import subprocess
from pathlib import Path

import psycopg

from deploy.local.ports import HOST, free_port
from deploy.local.postgres import DATABASE, OWNER, TEST_PASSWORD, EmbeddedPostgres, binaries
from deploy.local.settings import CHECKOUT

PASSWORD = "a 'quoted' $password"


def test_the_role_gets_the_password_and_no_process_list_shows_it(tmp_path: Path) -> None:
    psql = shutil.which("psql", path=os.pathsep.join([os.environ["PATH"], str(binaries())]))
    recording = tmp_path / "bin" / "psql"
    recording.parent.mkdir()
    recording.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\nexec {psql} "$@"\n', encoding="utf-8")
    recording.chmod(0o755)
    environment = {"PATH": f"{recording.parent}:/usr/bin:/bin", "POSTGRES_USER": OWNER, "POSTGRES_DB": DATABASE}

    with EmbeddedPostgres(tmp_path / "postgres", free_port(), durable=False) as server:
        where = {"PGHOST": HOST, "PGPORT": str(server.port), "PGPASSWORD": TEST_PASSWORD}
        subprocess.run(
            ["/bin/sh", str(CHECKOUT / "deploy" / "temporal" / "databases.sh")],
            env=environment | where | {"TEMPORAL_DB_PASSWORD": PASSWORD},
            check=True,
        )
        for name in ("temporal", "temporal_visibility"):
            psycopg.connect(host=HOST, port=server.port, user="temporal", password=PASSWORD, dbname=name).close()

    arguments = (tmp_path / "arguments").read_text(encoding="utf-8")
    assert "--username" in arguments
    assert "password" not in arguments
