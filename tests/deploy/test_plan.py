from pathlib import Path

import pytest
from pydantic import ValidationError

from deploy.local.plan import plan
from deploy.local.settings import StackSettings

OTHERS_DATABASE = "postgresql://u:p@db.example/x"
PORTS = ("API_PORT", "POSTGRES_PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT", "WEAVIATE_PORT")
WEAVIATE = ("WEAVIATE_URL", "WEAVIATE_GRPC_PORT", "WEAVIATE_API_KEY")
PARTS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_UI_URL", *WEAVIATE)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PORTS, *PARTS):
        monkeypatch.delenv(name, raising=False)


def settings(program: Path | None = None) -> StackSettings:
    """Return the settings of the environment, without Weaviate's program unless one is given."""
    return StackSettings(weaviate_program=program)


def names(local: Path, program: Path | None = None) -> list[str]:
    return [part.name for part in plan(settings(program), local).parts]


def test_parts_start_in_the_order_in_which_they_need_each_other(tmp_path: Path) -> None:
    assert names(tmp_path) == ["postgres", "temporal", "migrations", "worker", "content", "api"]


def test_a_given_database_replaces_the_embedded_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", OTHERS_DATABASE)

    assert "postgres" not in names(tmp_path)
    assert plan(settings(), tmp_path).environment["DATABASE_URL"] == OTHERS_DATABASE


def test_a_given_temporal_replaces_the_embedded_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")

    assert "temporal" not in names(tmp_path)
    assert plan(settings(), tmp_path).published["TEMPORAL_UI_URL"] == ""


def test_weaviate_is_part_of_the_stack_where_it_is_installed(tmp_path: Path) -> None:
    program = tmp_path / "weaviate-server"
    published = plan(settings(program), tmp_path).published

    assert names(tmp_path, program)[:3] == ["postgres", "temporal", "weaviate"]
    assert (published["WEAVIATE_URL"], published["WEAVIATE_GRPC_PORT"]) == ("http://127.0.0.1:8090", "50051")
    assert published["WEAVIATE_API_KEY"]
    assert {"WEAVIATE_PORT", "WEAVIATE_GRPC_PORT"} <= settings(program).ports.keys()


def test_a_given_weaviate_replaces_the_embedded_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVIATE_URL", "https://weaviate.example")
    program = tmp_path / "weaviate-server"

    assert "weaviate" not in names(tmp_path, program)
    assert plan(settings(program), tmp_path).published["WEAVIATE_URL"] == "https://weaviate.example"
    assert "WEAVIATE_PORT" not in settings(program).ports


def test_without_weaviate_nothing_is_said_of_it(tmp_path: Path) -> None:
    assert "WEAVIATE_URL" not in plan(settings(), tmp_path).environment


def test_only_ports_of_embedded_parts_must_be_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", OTHERS_DATABASE)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")

    assert settings().ports == {"API_PORT": 8000}


def test_an_empty_variable_counts_as_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("JWT_SECRET", "")

    assert "postgres" in names(tmp_path)
    assert plan(settings(), tmp_path).environment["JWT_SECRET"] != ""


def test_ports_reach_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "18000")
    monkeypatch.setenv("POSTGRES_PORT", "15432")

    environment = plan(settings(), tmp_path).environment

    assert environment["API_URL"] == "http://127.0.0.1:18000"
    assert "@127.0.0.1:15432/" in environment["DATABASE_URL"]


def test_an_invalid_port_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "eight thousand")

    with pytest.raises(ValidationError, match="api_port"):
        settings()


def test_the_environment_file_holds_what_the_contract_names(tmp_path: Path) -> None:
    accounts = ("STUDENT", "ADVISOR", "ADMIN", "PLATFORM_ADMIN")

    assert set(plan(settings(), tmp_path).published) == {
        "API_URL",
        *PARTS,
        *(f"{account}_{what}" for account in accounts for what in ("EMAIL", "PASSWORD")),
    }


def test_passwords_stay_the_same_between_runs(tmp_path: Path) -> None:
    first = plan(settings(), tmp_path).published

    assert plan(settings(), tmp_path).published == first
