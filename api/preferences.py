"""The preference `wait` of the header `Prefer` (RFC 7240): a client waits for a result instead of polling."""

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.request import parse_http_list

from fastapi import Depends, Header, Request, Response

HEADER: Final = "Prefer"
APPLIED: Final = "Preference-Applied"
LONGEST_WAIT_S: Final = 10
_WAIT: Final = re.compile(r'wait\s*=\s*"?(\d{1,9})"?\s*(;.*)?', re.ASCII | re.IGNORECASE | re.DOTALL)
_IS_WAIT: Final = re.compile(r"wait\s*(=|;|$)", re.IGNORECASE)

APPLIED_HEADER: Final[dict[str, Any]] = {
    APPLIED: {"description": "`wait=N`: the request could wait for N seconds", "schema": {"type": "string"}}
}
"""For the OpenAPI document."""


@dataclass(slots=True)
class WaitPreference:
    """The time that the client is willing to wait, in seconds. 0: the client does not want to wait.

    `applied` is true once the request was allowed to wait.
    """

    seconds: int
    request: Request
    applied: bool = False

    def slot(self) -> AbstractContextManager[bool]:
        """Count the request as an event stream while it waits. The value is false if it must not wait."""
        slot: AbstractContextManager[bool] = self.request.state.as_stream()
        return slot

    async def disconnected(self) -> None:
        """Return when the client has disconnected. The body must have been read."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass

    def confirm(self, response: Response) -> Response:
        """Add the response header if the preference was applied."""
        if self.applied:
            response.headers[APPLIED] = f"wait={self.seconds}"
        return response


def wait_of(values: list[str]) -> int:
    """Return the seconds of the first preference `wait`, at most LONGEST_WAIT_S; 0 if it is missing or invalid."""
    preferences = parse_http_list(",".join(values))
    first = next((each for each in preferences if _IS_WAIT.match(each)), "")
    found = _WAIT.fullmatch(first)
    return min(int(found[1]), LONGEST_WAIT_S) if found else 0


async def _preference(
    request: Request,
    _: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description=f"`wait=N` waits up to N seconds, at most {LONGEST_WAIT_S}, for the result (RFC 7240)."
            f" The response has `{APPLIED}` if the service could wait",
            examples=["wait=10"],
        ),
    ] = None,
) -> WaitPreference:
    longest = int(request.app.state.request_timeout_s / 2)
    return WaitPreference(min(wait_of(request.headers.getlist(HEADER)), longest), request)


WaitDep = Annotated[WaitPreference, Depends(_preference)]
