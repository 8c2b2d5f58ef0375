from decimal import Decimal

import pytest

from domain.ids import content_hash, derived_id


def test_equal_parts_give_equal_ids() -> None:
    assert derived_id("job", 1, None) == derived_id("job", "1", None)


@pytest.mark.parametrize("other", [("job", 2, None), ("job", 1), ("job", 1, "x")])
def test_other_parts_give_other_ids(other: tuple[object, ...]) -> None:
    assert derived_id("job", 1, None) != derived_id(*other)


def test_a_content_hash_does_not_depend_on_the_order_of_fields() -> None:
    assert content_hash({"a": Decimal("0.5"), "b": ["x"]}) == content_hash({"b": ["x"], "a": "0.5"})


@pytest.mark.parametrize("changed", [{"a": "0.6", "b": ["x"]}, {"a": "0.5", "b": ["x", "y"]}, {"a": "0.5"}])
def test_other_content_has_another_hash(changed: object) -> None:
    assert content_hash({"a": "0.5", "b": ["x"]}) != content_hash(changed)
