"""Filters of the staff's lists: read them from a query string or a form, and offer roles and cohorts to choose from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from api.dependencies import Services
from domain.errors import InvalidInput, Problem
from persistence.queries.views import AccessScope

MAX_COHORTS: Final = 200

Query = TypeVar("Query", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Names by id, for the fields of a filter."""

    roles: Mapping[UUID, str]
    cohorts: Mapping[UUID, str]


async def choices(services: Services, scope: AccessScope) -> Choices:
    """Return the active roles and the newest cohorts of the organization."""
    cohorts = await services.people.cohorts.cohorts(scope.organization_id, None, MAX_COHORTS)
    return Choices(
        roles={role.id: role.name for role in await services.queries.roles()},
        cohorts={each.cohort_id: each.name for each in sorted(cohorts, key=lambda each: each.name.casefold())},
    )


def read_query(schema: type[Query], sent: Mapping[str, str]) -> Query:
    """Read the fields of a schema of the API. An empty field is like a missing one, because forms send both.

    Raises:
        InvalidInput: a field has a value that the schema does not allow.
    """
    try:
        return schema.model_validate(filled(sent, schema.model_fields))
    except ValidationError as error:
        raise InvalidInput(
            "The request is not valid",
            tuple(Problem(str(each["loc"][0]) if each["loc"] else "query", "is not valid") for each in error.errors()),
        ) from None


def filled(sent: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Return the fields with these names that are not empty, for links and hidden fields."""
    return {name: value for name, value in sent.items() if name in names and value.strip()}
