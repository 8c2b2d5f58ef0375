from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.recommending.roles import Credential, CredentialLevel, Role, SkillTarget, credential_text
from tests.domain.builders import CLEANING, SQL, an_id


def a_target(**changes: Any) -> SkillTarget:
    valid = SkillTarget(skill=SQL, description="Reads data.", target=Decimal("0.75"), importance=Decimal(1))
    return replace(valid, **changes)


def a_role(**changes: Any) -> Role:
    valid = Role(id=an_id("role"), key="analyst", name="Analyst", description="", skills=(a_target(),))
    return replace(valid, **changes)


def a_credential(**changes: Any) -> Credential:
    valid = Credential(
        id=an_id("joins"),
        key="joins",
        title="Joins",
        description="",
        skills=(SQL, CLEANING),
        level=CredentialLevel.FOUNDATION,
        hours=Decimal(6),
        provider="Demo Academy North",
        source_uri="https://catalog.example.org/credentials/joins",
        version="0" * 64,
    )
    return replace(valid, **changes)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"skill": ""}, "skill"),
        ({"target": Decimal("1.01")}, "target"),
        ({"target": Decimal("-0.01")}, "target"),
        ({"importance": Decimal(0)}, "importance"),
    ],
)
def test_an_invalid_target_is_rejected(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        a_target(**change)


@pytest.mark.parametrize("target", ["0", "1"])
def test_a_target_may_be_0_or_1(target: str) -> None:
    assert a_target(target=Decimal(target)).target == Decimal(target)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"skills": ()}, "skills"),
        ({"skills": (a_target(), a_target())}, "skills"),
        ({"prerequisites": (an_id("role"),)}, "prerequisites"),
        ({"prerequisites": (an_id("other"), an_id("other"))}, "prerequisites"),
    ],
)
def test_a_role_targets_distinct_skills_and_does_not_require_itself(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        a_role(**change)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"skills": ()}, "skills"),
        ({"hours": Decimal(0)}, "hours"),
        ({"hours": Decimal("0.001")}, "hours"),
        ({"prerequisites": (an_id("joins"),)}, "prerequisites"),
    ],
)
def test_an_invalid_credential_is_rejected(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        a_credential(**change)


def test_the_embedded_text_has_a_line_with_the_title_and_a_line_with_the_skills() -> None:
    assert credential_text(a_credential(description="Joins\n tables.")) == (
        "Joins\nJoins tables. Skills: SQL querying, Data cleaning."
    )


def test_the_embedded_text_without_a_description_is_one_line() -> None:
    assert credential_text(a_credential(description=" \n")) == "Joins Skills: SQL querying, Data cleaning."
