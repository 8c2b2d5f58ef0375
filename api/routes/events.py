"""Follow the progress of an assessment by server-sent events."""

from typing import Any

from fastapi import Response

from api.event_stream import ProgressStreamDep
from api.middleware.routing import router
from api.schemas.errors import answers
from api.schemas.progress import ProgressMessage
from domain.assessments.progress import Transition

_FIELDS = ", ".join(f"`{name}`" for name in ProgressMessage.model_fields)
_EVENTS = ", ".join(f"`{each}`" for each in Transition)
_EXAMPLE = 'id: 4294995969\ndata: {"event":"essay_scored","essays_scored":1,"essays":2,"final":false}\n\n'
# A stream is a text. OpenAPI 3.1 has no schema for the items of a stream, so the description names fields and events.
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": f"Events with an `id` and, as `data`, a JSON object with {_FIELDS}; comments every 15 s. "
        f"`event` is one of {_EVENTS}",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    204: {"description": "`Last-Event-ID` was the final event. A browser does not connect again"},
}

events = router(prefix="/assessments", tags=["Assessments"])


@events.get(
    "/{assessment_id}/events",
    summary="Follow the progress of an assessment",
    response_class=Response,
    responses={**answers(400, 401, 403, 404), **_STREAM},
)
async def stream_events(stream: ProgressStreamDep) -> Response:
    """One event for each durable transition, from the submission to the result. The stream ends after the last one.

    After a lost connection, `Last-Event-ID` resumes without a gap or a repeat.
    """
    return stream
