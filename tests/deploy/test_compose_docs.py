"""The documented Docker Compose commands name services of the compose file."""

import re
from ipaddress import ip_address, ip_network
from typing import Final

import yaml

from deploy.local.settings import CHECKOUT
from tests.support import compose
from tests.support.deployed import WITH_MODEL

SERVICES: Final = compose.services(WITH_MODEL)
DOCS: Final = "\n".join(path.read_text(encoding="utf-8") for path in sorted((CHECKOUT / "docs").rglob("*.md")))
COMMANDS: Final = re.findall(r"docker compose ((?:exec|run|cp|stop|restart|up)\b[^\n#|>`]*)", DOCS.replace("\\\n", " "))
VALUED: Final = re.compile(r"--(user|entrypoint|scale) \S+")


def named(command: str) -> list[str]:
    """Return the services in a command: the first word that is not an option, or all words of `stop`."""
    verb, *words = VALUED.sub("", command.split("&&", maxsplit=1)[0]).split()
    words = [word for word in words if not word.startswith("-")]
    if verb in {"exec", "run"}:
        return words[:1]
    return [word.partition(":")[0] for word in words[:1]] if verb == "cp" else words


def test_documented_commands_name_services_of_the_compose_file() -> None:
    assert COMMANDS
    assert [command for command in COMMANDS if set(named(command)) - SERVICES.keys()] == []


def test_the_documented_proxy_is_the_gateway_of_the_published_network() -> None:
    network = yaml.safe_load(compose.COMPOSE.read_text(encoding="utf-8"))["networks"]["outside"]["ipam"]["config"][0]
    trusted = re.findall(r"TRUSTED_PROXIES=([\d.]+)", DOCS)

    assert trusted == [network["gateway"]]
    assert ip_address(network["gateway"]) in ip_network(network["subnet"])


def test_the_example_proxy_leads_to_the_published_port_of_the_api() -> None:
    caddyfile = (CHECKOUT / "deploy" / "caddy" / "Caddyfile").read_text(encoding="utf-8")
    published = SERVICES["api"]["ports"][0].rpartition(":")[0]

    assert re.findall(r"reverse_proxy (\S+)", caddyfile) == [published]
