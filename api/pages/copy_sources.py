"""Sources of copied answers: find those that the reader may open."""

from collections.abc import Iterable
from uuid import UUID

from api.dependencies import Services
from api.services.assessed_items import AssessedItem
from persistence.queries.views import AccessScope


async def openable_sources(items: Iterable[AssessedItem], services: Services, scope: AccessScope) -> frozenset[UUID]:
    """Return the assessments with sources of the items that the reader may open. The review desk needs a result."""
    sources = {source.assessment_id for item in items for source in item.copied_from}
    return await services.queries.with_result(sources, scope)
