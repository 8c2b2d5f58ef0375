"""`python -m api.export_openapi [--check]`: writes docs/api/openapi.yaml, or tells whether it is what the code says."""

import sys
from pathlib import Path
from typing import Final

import yaml

from api.app import build

PATH: Final = Path(__file__).parents[1] / "docs" / "api" / "openapi.yaml"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a person can read them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def rendered() -> str:
    """The document as YAML, the same bytes for the same code."""
    return yaml.dump(build().openapi(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def main(arguments: list[str]) -> int:
    if "--check" not in arguments:
        PATH.parent.mkdir(parents=True, exist_ok=True)
        PATH.write_text(rendered(), encoding="utf-8")
        return 0
    if PATH.is_file() and PATH.read_text(encoding="utf-8") == rendered():
        return 0
    sys.stderr.write(f"{PATH.name} is not what the code says: run `make openapi`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
