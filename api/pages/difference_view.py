"""The differences of a re-score as its page shows them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from persistence.queries.rescore_pages import AskedQuestion, ListedDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownItem:
    """A question whose score or levels change. `levels` has (criterion, old level, new level) where they differ."""

    number: int | None
    prompt: str
    old_points: float | None
    new_points: float | None
    max_points: float
    levels: tuple[tuple[str, str, str], ...]
    not_comparable: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDifference:
    """What changes in one result. `skills` has (name, old score, new score); scores are shares of 1 or None."""

    view: ListedDifference
    change: float
    items: tuple[ShownItem, ...]
    skills: tuple[tuple[str, float | None, float | None], ...]
    credentials_in: tuple[str, ...]
    credentials_out: tuple[str, ...]
    reached: tuple[str, ...]
    missed: tuple[str, ...]
    problem: str | None


def question_ids(views: Iterable[ListedDifference]) -> set[UUID]:
    return {UUID(item["question_id"]) for view in views for item in view.difference["items"]}


def shown_differences(
    views: Iterable[ListedDifference], asked: Mapping[UUID, AskedQuestion]
) -> Sequence[ShownDifference]:
    return [_shown(view, asked) for view in views]


def _shown(view: ListedDifference, asked: Mapping[UUID, AskedQuestion]) -> ShownDifference:
    stored = view.difference
    return ShownDifference(
        view=view,
        change=float(view.new_points - view.old_points),
        items=tuple(_item(each, asked) for each in stored["items"] if _differs(each)),
        skills=tuple(
            (each["skill"], _number(each["old_score"]), _number(each["new_score"])) for each in stored["skills"]
        ),
        credentials_in=_titles(stored["credentials_in"]),
        credentials_out=_titles(stored["credentials_out"]),
        reached=tuple(stored["reached_targets"]),
        missed=tuple(stored["missed_targets"]),
        problem=stored.get("problem"),
    )


def _item(stored: Mapping[str, Any], asked: Mapping[UUID, AskedQuestion]) -> ShownItem:
    question = asked.get(UUID(stored["question_id"]))
    old, new = stored["old_levels"], stored["new_levels"]
    return ShownItem(
        number=question.position if question else None,
        prompt=question.prompt if question else "",
        old_points=_number(stored["old_points"]),
        new_points=_number(stored["new_points"]),
        max_points=float(stored["new_max_points"]),
        levels=tuple(
            (criterion, old.get(criterion, "–"), new.get(criterion, "–"))
            for criterion in sorted(old.keys() | new.keys())
            if old.get(criterion) != new.get(criterion)
        ),
        not_comparable=stored["not_comparable"],
    )


def _differs(item: Mapping[str, Any]) -> bool:
    """Return whether the page lists the item. An unchanged, comparable one is left out."""
    names: Collection[str] = ("points", "max_points", "levels")
    return item["not_comparable"] is not None or any(item[f"old_{name}"] != item[f"new_{name}"] for name in names)


def _number(value: str | float | None) -> float | None:
    return None if value is None else float(value)


def _titles(credentials: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(each["title"] for each in credentials)
