"""The import of a roster: the outcome of each row, and what is written."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.roster import Directory, KnownPerson, RosterPlan, RosterRow, plan_import

ADA = UUID(int=1)


def a_directory(**changes: Any) -> Directory:
    values: dict[str, Any] = {"people": {}, "taken": frozenset(), "holders": {}, "cohorts": frozenset()}
    return Directory(**(values | changes))


def a_person(**changes: Any) -> KnownPerson:
    values: dict[str, Any] = {"id": ADA, "name": "Ada", "external_id": None, "role": "student", "erasing": False}
    return KnownPerson(**(values | changes))


def planned(directory: Directory, *rows: dict[str, Any]) -> RosterPlan:
    return plan_import([RosterRow(number=place, **row) for place, row in enumerate(rows, start=1)], directory, uuid4)


def outcomes(plan: RosterPlan) -> list[str]:
    return [report.status.value for report in plan.reports]


def test_an_unknown_address_creates_a_person_and_a_cohort() -> None:
    plan = planned(a_directory(cohorts=frozenset({"Autumn"})), {"email": "a@x.org", "cohort": "Spring"})

    (user_id,) = plan.created
    assert outcomes(plan) == ["created"]
    assert (plan.members, plan.new_cohorts) == ([("Spring", user_id)], ["Spring"])


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({}, "unchanged"),
        ({"name": "Ada"}, "unchanged"),
        ({"cohort": "Spring"}, "unchanged"),
        ({"name": "Ada Lovelace"}, "updated"),
        ({"external_id": "A-1"}, "updated"),
        ({"cohort": "Autumn"}, "updated"),
    ],
    ids=str,
)
def test_a_known_person_is_updated_only_by_different_values(row: dict[str, Any], status: str) -> None:
    directory = a_directory(people={"a@x.org": a_person(cohorts=frozenset({"Spring"}))})

    plan = planned(directory, {"email": "a@x.org", **row})

    assert (outcomes(plan), plan.reports[0].user_id, plan.created) == ([status], ADA, {})


@pytest.mark.parametrize(
    ("directory", "row", "field"),
    [
        (a_directory(taken=frozenset({"a@x.org"})), {}, "email"),
        (a_directory(people={"a@x.org": a_person(erasing=True)}), {}, "email"),
        (a_directory(holders={"A-1": UUID(int=2)}), {"external_id": "A-1"}, "external_id"),
        (
            a_directory(people={"a@x.org": a_person()}, holders={"A-1": UUID(int=2)}),
            {"external_id": "A-1"},
            "external_id",
        ),
        (a_directory(people={"a@x.org": a_person(role="advisor")}), {"cohort": "Spring"}, "cohort"),
        (a_directory(), {"problems": (("name", "is too long"),)}, "name"),
    ],
    ids=["elsewhere", "being erased", "another holder", "another holder of a known person", "no student", "invalid"],
)
def test_a_row_is_refused_with_its_field(directory: Directory, row: dict[str, Any], field: str) -> None:
    plan = planned(directory, {"email": "a@x.org", **row})

    assert [name for name, _ in plan.refused[0].problems] == [field]
    assert not plan.created
    assert not plan.members


def test_repeated_addresses_and_external_ids_are_refused_with_the_first_row() -> None:
    plan = planned(
        a_directory(),
        {"email": "a@x.org", "external_id": "A-1"},
        {"email": "a@x.org"},
        {"email": "b@x.org", "external_id": "A-1"},
    )

    assert outcomes(plan) == ["created", "refused", "refused"]
    assert [report.problems for report in plan.refused] == [
        (("email", "is also in row 1"),),
        (("external_id", "is also in row 1"),),
    ]


def test_an_advisor_in_a_roster_keeps_the_role_and_gets_the_name() -> None:
    plan = planned(a_directory(people={"a@x.org": a_person(role="advisor")}), {"email": "a@x.org", "name": "Dr Ada"})

    assert (outcomes(plan), list(plan.updated)) == (["updated"], [ADA])
