"""Idempotency-Key: a request that is sent again has one effect, and its first answer is given again."""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, TypeAlias, cast

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute

from api.dependencies import Caller, ServicesDep
from api.errors import answer_to
from api.schemas.base import Output
from api.security.tokens import Principal, key_id, keys_of
from api.workflow_engine import notify_all, told
from domain.errors import AppError, InvalidInput, Problem
from persistence.repositories.idempotency import KeyedRequest, StoredResponse
from persistence.request_database import RequestDatabase, RequestUnitOfWork

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
MAX_CHARS: Final = 255
_KEY: Final = re.compile(r'"(?P<quoted>([ !#-\[\]-~]|\\["\\])*)"|(?P<bare>[!#-~][ !#-~]*)')

Answer: TypeAlias = Output | AppError | StoredResponse
Again: TypeAlias = Callable[[Any], Awaitable[None]]
"""A start or a signal that changes nothing when it is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What an effect has come to. An error that is raised undoes the effect, an error as `answer` does not.

    `tell` is told to the engine after the commit; `unheard` is the answer where the engine did not take it.
    """

    answer: Answer
    tell: Sequence[Callable[[], Awaitable[bool]]] = ()
    response_if_engine_down: Output | None = None


Effect: TypeAlias = Callable[[RequestUnitOfWork], Awaitable[CommandResult]]


class IdempotentCommand:
    """One request: its effect and its answer are committed together, with a key or without."""

    def __init__(self, status: int, path_ids: Mapping[str, Any], keyed: KeyedRequest | None) -> None:
        self._status = status
        self._path_ids = path_ids
        self._keyed = keyed

    async def do(
        self,
        database: RequestDatabase,
        effect: Effect,
        *,
        again: Again | None = None,
    ) -> Response:
        """The answer to send. `again` starts or signals, once more, what a stored answer speaks of.

        Raises:
            RequestInProgress: another request with the key is at work.
            KeyReused: the key came with another body.
            AppError: what the effect raises; with a key, what is the client's fault is stored and answered instead.
        """
        async with database.transaction() as uow:
            kept = await uow.keys.claim(self._keyed) if self._keyed else None
            if kept is None:
                done = await self._attempt(uow, effect)
                await self._keep(uow, done.answer)
                await uow.commit()
            else:
                done = await self._repeat(uow, kept, again)
        if await notify_all(done.tell) or done.response_if_engine_down is None:
            return self._response(done.answer)
        async with database.transaction() as uow:
            await self._keep(uow, done.response_if_engine_down)
            await uow.commit()
        return self._response(done.response_if_engine_down)

    async def _attempt(self, uow: RequestUnitOfWork, effect: Effect) -> CommandResult:
        if self._keyed is None:
            return await effect(uow)
        try:
            async with uow.savepoint():
                return await effect(uow)
        except AppError as error:
            if answer_to(error).status_code >= 500:  # noqa: PLR2004  # ours, and gone when it is tried again
                raise
            return CommandResult(answer=error)

    async def _repeat(self, uow: RequestUnitOfWork, kept: StoredResponse, again: Again | None) -> CommandResult:
        subject = None
        if again is not None and kept.status < 400:  # noqa: PLR2004  # there is an effect to speak of
            subject = await uow.subject({**self._path_ids, **json.loads(kept.body)})
        return CommandResult(answer=kept, tell=[partial(told, again, subject)] if again and subject else ())

    async def _keep(self, uow: RequestUnitOfWork, answer: Answer) -> None:
        if self._keyed is not None:
            response = self._response(answer, secrets=False)
            await uow.keys.keep(self._keyed, StoredResponse(status=response.status_code, body=bytes(response.body)))

    def _response(self, answer: Answer, *, secrets: bool = True) -> Response:
        match answer:
            case AppError():
                return answer_to(answer)
            case StoredResponse():
                return _json(answer.body, answer.status, {REPLAYED: "true"})
            case _:
                hidden = set() if secrets else set(answer.shown_once)
                return _json(answer.model_dump_json(exclude_none=True, exclude=hidden), self._status)


def _json(document: str | bytes, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(document, status, headers, media_type="application/json")


async def _once(
    request: Request,
    caller: Caller,
    services: ServicesDep,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description="Sent again within 24 hours with the same body, the request has no second effect and gets the"
            f" first answer, with `{REPLAYED}: true`. 1 to {MAX_CHARS} printable ASCII characters, quoted or bare",
            examples=['"2d7b9c1e-start"'],
        ),
    ] = None,
) -> IdempotentCommand:
    route = cast(APIRoute, request.scope["route"])
    keys = keys_of(services.settings.jwt_secret)
    keyed = await _keyed(request, caller, keys) if key is not None else None
    return IdempotentCommand(route.status_code or 200, request.path_params, keyed)


IdempotencyDep = Annotated[IdempotentCommand, Depends(_once)]


async def _keyed(request: Request, caller: Principal, keys: Sequence[str]) -> KeyedRequest:
    """The hashes are keyed ones: a body may hold a password, which must not be guessed from what is stored."""
    body = await request.body()
    return KeyedRequest(
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        method=request.method,
        route=request.url.path,
        key=_read(request.headers.getlist(HEADER)),
        request_hashes={key_id(key): hmac.digest(key.encode(), body, "sha256").hex() for key in keys},
    )


def _read(values: Sequence[str]) -> str:
    """The key without its quotes."""
    found = _KEY.fullmatch(values[0]) if len(values) == 1 else None
    key = (found["quoted"] or found["bare"]) if found else None
    if not key or len(key) > MAX_CHARS:
        problem = f"must be 1 to {MAX_CHARS} printable ASCII characters, quoted or bare"
        raise InvalidInput("The request is not valid", (Problem(HEADER, problem),))
    return key
