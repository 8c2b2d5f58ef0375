"""The pages for admins of organizations and for platform admins, one module per part."""

from fastapi import APIRouter

from api.pages.routes.admin import (
    api_keys,
    audit,
    cohorts,
    deliveries,
    home,
    people,
    person,
    person_link,
    platform,
    roster,
    settings,
    webhooks,
)


def routers() -> tuple[APIRouter, ...]:
    """Return the routers. `roster` comes before `person`, whose paths would match too."""
    return (
        home.home,
        people.people,
        roster.roster,
        person.person,
        person_link.person_link,
        cohorts.cohorts,
        settings.settings,
        webhooks.webhooks,
        deliveries.deliveries,
        api_keys.api_keys,
        audit.audit,
        platform.platform,
    )
