"""Whether a result is held until a person releases it."""

from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from domain.organizations import ReleasePolicy


def holds(policy: ReleasePolicy, *, needs_review: bool, lowered: bool) -> bool:
    """Return whether the policy holds a revision.

    `needs_review`: an item of it waits for a review. `lowered`: it has fewer points than the student has seen.
    """
    match policy:
        case ReleasePolicy.AT_ONCE:
            return False
        case ReleasePolicy.DOUBTFUL_HELD:
            return needs_review or lowered
        case ReleasePolicy.ALL_HELD:
            return True


def is_lowered(shown: Mapping[UUID, Decimal | None], new: Mapping[UUID, Decimal | None]) -> bool:
    """Return whether a question has fewer points in `new` than in `shown`. A question without points is skipped.

    The keys are question ids.
    """
    pairs = ((shown.get(question), points) for question, points in new.items())
    return any(before is not None and after is not None and after < before for before, after in pairs)
