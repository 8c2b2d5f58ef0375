"""The results of R that `reference.R` has printed."""

import json
from pathlib import Path
from typing import Any, Final

REFERENCE: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("reference.json").read_text(encoding="utf-8"))
PRECISION: Final = 1e-6
