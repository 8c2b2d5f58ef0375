"""Server-sent events of an assessment's progress, for REST clients and for the pages."""

from collections.abc import AsyncIterator
from typing import Annotated, Final, TypeAlias

import structlog
from fastapi import Depends, Header, Request
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.responses import Response

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.schemas.base import Id
from api.schemas.progress import ProgressMessage
from api.services.use_cases import require
from domain.assessments.progress import RunProgress
from domain.errors import AppError

_HEADERS: Final = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
_MAX_ID_CHARS: Final = 16

log = structlog.get_logger(__name__)


async def progress_stream(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request,
    assessment_id: Id,
    principal: PrincipalDep,
    scope: ScopeDep,
    services: ServicesDep,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the stream of events after `last_event_id`. An id that is not a number is ignored.

    204 without a body: there is nothing more to say, so a browser does not connect again. The stream also ends after an
    error, for example when the user is disabled or the database is unavailable; a client that connects again gets it.

    Raises:
        NotFound: the assessment does not exist or is outside the scope.
        TooManyRequests: the user has too many open streams.
    """

    async def read() -> RunProgress | None:
        await services.principals.check(principal)  # again for each event, because a stream may be open for days
        return await services.pages.student.progress(assessment_id, scope)

    current = require(await read(), "No such assessment")
    last = int(last_event_id) if last_event_id and _is_id(last_event_id) else None
    if current.is_final and last == current.number:
        return Response(status_code=204)

    request.state.claim_stream(principal.user_id)

    async def messages() -> AsyncIterator[bytes]:
        yield format_sse_event(retry=2000)
        try:
            async for event in services.pages.streams.follow(assessment_id, read, last):
                if event is None:
                    yield format_sse_event(comment="ping")
                    continue
                data = ProgressMessage.of(event).model_dump_json()
                yield format_sse_event(data_str=data, id=str(event.progress.number))
        except AppError as error:
            log.info("stream_ended", error_code=error.code)

    return EventSourceResponse(messages(), headers=_HEADERS)


ProgressStreamDep: TypeAlias = Annotated[Response, Depends(progress_stream)]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_ID_CHARS
