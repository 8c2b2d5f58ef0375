"""The code and message that a caller gets for an unexpected error about one object of many."""

import pytest
import structlog

from api.schemas.errors import UNEXPECTED
from api.services.item_errors import ItemError, item_error
from domain.errors import CorruptData


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (CorruptData("Item 1 is not valid"), ItemError(code="CORRUPT_DATA_500", message="Item 1 is not valid")),
        (RuntimeError("what a driver prints"), ItemError(code="INTERNAL_500", message=UNEXPECTED)),
    ],
)
def test_only_messages_of_the_application_are_shown(error: Exception, shown: ItemError) -> None:
    with structlog.testing.capture_logs() as lines:
        assert item_error("something_failed", error, id="1") == shown

    assert [(each["event"], each["id"], each["error_type"]) for each in lines] == [
        ("something_failed", "1", type(error).__name__)
    ]
    assert "what a driver prints" not in str(lines)
