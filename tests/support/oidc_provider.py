"""A real OIDC provider for tests, as a process."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local.ports import HOST, free_port

STARTS_WITHIN_S = 60


@dataclass
class Provider:
    """The provider's client. `authorize` is what a person does in the provider's pages."""

    issuer: str
    client: httpx.Client

    def person(self, sub: str, **claims: Any) -> str:
        """Create or replace a person; return their id."""
        self.client.put(f"/users/{sub}", json=claims).raise_for_status()
        return sub

    def authorize(self, address: str, sub: str) -> str:
        """Log in as the person at the address that the browser was sent to. Return the address to return to."""
        return self._answer(address, {"sub": sub})

    def deny(self, address: str) -> str:
        return self._answer(address, {"action": "deny"})

    def _answer(self, address: str, form: dict[str, str]) -> str:
        answer = self.client.post(address, data=form)
        assert answer.status_code in {302, 303}, answer.text
        return str(answer.headers["Location"])


@contextmanager
def oidc_provider(log: Path) -> Iterator[Provider]:
    """Run the provider. It needs a nonce in each request."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--host", HOST, "--port", str(port), "--require-nonce=true"]
    environment = os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1"}
    with log.open("w") as output, httpx.Client(base_url=f"http://{HOST}:{port}") as client:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)  # our own arguments
        try:
            _wait_for(client, process)
            yield Provider(f"http://{HOST}:{port}", client)
        finally:
            process.terminate()
            process.wait()


def _wait_for(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < ends and process.poll() is None:
        try:
            client.get("/.well-known/openid-configuration").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("The OIDC provider did not start")


def state_of(address: str) -> str:
    """Return the state in an address."""
    found = re.search(r"[?&]state=([^&]+)", address)
    assert found, address
    return found[1]
