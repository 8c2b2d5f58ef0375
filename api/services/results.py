"""Show a published result to a viewer."""

import json
from typing import Any

from domain.assessments.attempts import Reveal
from persistence.queries.views import PublishedView
from persistence.repositories.result_document import without_answers


def shown_document(view: PublishedView, document: str) -> dict[str, Any]:
    """Return the result document; without the right answers if the viewer is a student who must not see them."""
    result: dict[str, Any] = json.loads(document)
    return result if view.reveals_answers else without_answers(result, Reveal(view.reveal))
