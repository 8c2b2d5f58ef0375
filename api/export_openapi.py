"""`python -m api.export_openapi [--check]`: write docs/api/openapi.yaml, or check that it is up to date."""

import sys
from pathlib import Path
from typing import Final

import yaml

from api.app import build

PATH: Final = Path(__file__).parents[1] / "docs" / "api" / "openapi.yaml"


class _Dumper(yaml.CSafeDumper):
    """A dumper that writes multi-line texts as readable blocks."""


def _text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def rendered() -> str:
    """Return the document as YAML. The output is deterministic."""
    return yaml.dump(build().openapi(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def main(arguments: list[str]) -> int:
    if "--check" not in arguments:
        PATH.parent.mkdir(parents=True, exist_ok=True)
        PATH.write_text(rendered(), encoding="utf-8")
        return 0
    if PATH.is_file() and PATH.read_text(encoding="utf-8") == rendered():
        return 0
    sys.stderr.write(f"{PATH.name} is out of date: run `make openapi`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
