"""Invalid settings stop the start, and importing the app has no side effects."""

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from api.settings import DEVELOPMENT_SECRET, ApiSettings

STRONG = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "JWT_SECRET",
        "MICROCRED_ENV",
        "API_HOST",
        "API_PORT",
        "TOKEN_MINUTES",
        "ASSESSMENT_HOURS",
        "OIDC_ISSUERS",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("env", ["development", "staging", "production"])
def test_a_short_secret_stops_the_start_everywhere(monkeypatch: pytest.MonkeyPatch, env: str) -> None:
    monkeypatch.setenv("MICROCRED_ENV", env)
    monkeypatch.setenv("JWT_SECRET", STRONG[:31])
    with pytest.raises(ValidationError) as refused:
        ApiSettings()
    assert STRONG[:31] not in str(refused.value)


@pytest.mark.parametrize("env", ["staging", "production"])
@pytest.mark.parametrize("secret", [None, DEVELOPMENT_SECRET])
def test_the_published_secret_is_for_development_only(
    monkeypatch: pytest.MonkeyPatch, env: str, secret: str | None
) -> None:
    monkeypatch.setenv("MICROCRED_ENV", env)
    if secret:
        monkeypatch.setenv("JWT_SECRET", secret)
    with pytest.raises(ValidationError):
        ApiSettings()
    monkeypatch.setenv("MICROCRED_ENV", "development")
    assert ApiSettings().api_host == "127.0.0.1"


@pytest.mark.parametrize("keys", [f"{STRONG},short", f"{STRONG},", f",{STRONG}"])
def test_every_key_must_be_strong(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("JWT_SECRET", keys)
    with pytest.raises(ValidationError, match="in each of its keys"):
        ApiSettings()


@pytest.mark.parametrize(
    "secret",
    [
        "x" * 64,
        "change-me-change-me-change-me-change-me",
        "CHANGEME0123456789abcdefghijklmnop",
        f"{STRONG},{'ab' * 20}",
    ],
)
def test_a_placeholder_is_no_secret_outside_development(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("JWT_SECRET", secret)
    with pytest.raises(ValidationError, match="placeholder") as refused:
        ApiSettings()
    assert secret not in str(refused.value)
    monkeypatch.setenv("MICROCRED_ENV", "development")
    assert ApiSettings().jwt_secret.get_secret_value() == secret


ISSUER = {
    "issuer": "https://id.example",
    "audience": "microcred",
    "jwks_url": "https://id.example/jwks",
    "organization": "any",
}


def test_issuers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", STRONG)
    monkeypatch.setenv("OIDC_ISSUERS", json.dumps([ISSUER]))
    (issuer,) = ApiSettings().oidc_issuers
    assert (issuer.issuer, issuer.subject, issuer.organization) == ("https://id.example", "sub", "any")


@pytest.mark.parametrize(
    "issuers",
    [
        "no JSON",
        "{}",
        json.dumps([ISSUER, ISSUER]),
        json.dumps([ISSUER | {"issuer": "microcred"}]),
        json.dumps([ISSUER | {"jwks_url": "http://id.example/jwks"}]),
        json.dumps([ISSUER | {"jwks_url": "file:///etc/passwd"}]),
        json.dumps([ISSUER | {"organization": "everybody"}]),
        json.dumps([ISSUER | {"role": "admin"}]),
        json.dumps([{name: value for name, value in ISSUER.items() if name != "organization"}]),
    ],
)
def test_an_issuer_that_cannot_be_trusted_stops_the_start(monkeypatch: pytest.MonkeyPatch, issuers: str) -> None:
    monkeypatch.setenv("JWT_SECRET", STRONG)
    monkeypatch.setenv("OIDC_ISSUERS", issuers)
    with pytest.raises(ValidationError):
        ApiSettings()


def test_an_issuer_in_the_clear_is_for_development_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROCRED_ENV", "development")
    monkeypatch.setenv("OIDC_ISSUERS", json.dumps([ISSUER | {"jwks_url": "http://127.0.0.1:9/jwks"}]))
    assert len(ApiSettings().oidc_issuers) == 1


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", STRONG)
    settings = ApiSettings()
    assert (settings.token_minutes, settings.assessment_hours) == (15, 72)
    assert STRONG not in repr(settings)


def test_importing_the_app_loads_no_model_and_opens_nothing() -> None:
    heavy = "{'torch', 'openai', 'sklearn', 'sentence_transformers', 'transformers', 'scipy'}"
    code = f"import sys, api.app, api.__main__; sys.exit(', '.join({heavy} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "."}, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_starting_with_a_weak_secret_exits_with_an_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "api"],
        env={"PYTHONPATH": ".", "JWT_SECRET": "weak", "DATABASE_URL": "postgresql://a:b@127.0.0.1:9/c"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"settings_refused" in done.stderr


def test_starting_with_invalid_keys_exits_with_an_error() -> None:
    environment = {
        "PYTHONPATH": ".",
        "JWT_SECRET": STRONG,
        "DATABASE_URL": "postgresql://a:b@127.0.0.1:9/c",
        "WEBHOOK_SECRET_KEYS": "half-a-key",
    }
    done = subprocess.run([sys.executable, "-m", "api"], env=environment, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"webhook_secret_keys" in done.stderr
    assert b"half-a-key" not in done.stderr
