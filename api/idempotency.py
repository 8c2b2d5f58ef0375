"""Idempotency-Key: a repeated request has one effect, and the first response is replayed."""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, TypeAlias, cast

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute

from api.dependencies import PrincipalDep, Services, ServicesDep
from api.errors import answer_to
from api.schemas.base import Output
from api.security.authorization import actor_of
from api.security.tokens import Principal, key_id, keys_of
from api.workflow_engine import notify_all, notify_engine
from domain.errors import AppError, InvalidInput, Problem
from persistence.queries.views import Actor
from persistence.repositories.idempotency import KeyedRequest, StoredResponse
from persistence.request_database import RequestUnitOfWork

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
MAX_CHARS: Final = 255
_KEY: Final = re.compile(r'"(?P<quoted>([ !#-\[\]-~]|\\["\\])*)"|(?P<bare>[!#-~][ !#-~]*)')

ResponseSource: TypeAlias = Output | AppError | StoredResponse
OnReplay: TypeAlias = Callable[[Any], Awaitable[None]]
"""Starts or signals a workflow. A repeated call has no further effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """The result of an effect. An error in `response` commits the effect; an error that is raised rolls it back.

    `after_commit` are calls to the workflow engine. `response_if_engine_down` replaces `response` if one of them fails.
    """

    response: ResponseSource
    after_commit: Sequence[Callable[[], Awaitable[bool]]] = ()
    response_if_engine_down: Output | None = None


Effect: TypeAlias = Callable[[RequestUnitOfWork], Awaitable[CommandResult]]


class IdempotentCommand:
    """A request whose effect and stored response are committed in one transaction. The key is optional."""

    def __init__(  # the request
        self,
        services: Services,
        principal: Principal,
        status: int,
        path_ids: Mapping[str, Any],
        keyed: KeyedRequest | None,
    ) -> None:
        self.services = services
        self.principal = principal
        self._status = status
        self._path_ids = path_ids
        self._keyed = keyed

    @property
    def actor(self) -> Actor:
        """The caller, as the audit trail records them."""
        return actor_of(self.principal)

    async def execute(self, effect: Effect, *, on_replay: OnReplay | None = None) -> Response:
        """Execute the effect once and return its response.

        When a stored response is replayed, `on_replay` dispatches its workflow again (idempotent).

        Raises:
            RequestInProgress: another request with the same key is in progress.
            KeyReused: the key was sent with another body.
            AppError: raised by the effect. With a key, a client error is stored and returned as the response instead.
        """
        async with self.services.database.transaction() as uow:
            stored = await uow.keys.claim(self._keyed) if self._keyed else None
            if stored is None:
                result = await self._attempt(uow, effect)
                await self._store(uow, result.response)
                await uow.commit()
            else:
                result = await self._replay(uow, stored, on_replay)
        if await notify_all(result.after_commit) or result.response_if_engine_down is None:
            return self._response(result.response)
        async with self.services.database.transaction() as uow:
            await self._store(uow, result.response_if_engine_down)
            await uow.commit()
        return self._response(result.response_if_engine_down)

    async def _attempt(self, uow: RequestUnitOfWork, effect: Effect) -> CommandResult:
        if self._keyed is None:
            return await effect(uow)
        try:
            async with uow.savepoint():
                return await effect(uow)
        except AppError as error:
            if answer_to(error).status_code >= 500:  # noqa: PLR2004  # a server error is not stored; a retry may succeed
                raise
            return CommandResult(response=error)

    async def _replay(
        self, uow: RequestUnitOfWork, stored: StoredResponse, on_replay: OnReplay | None
    ) -> CommandResult:
        if on_replay is None or stored.status >= 400:  # noqa: PLR2004  # an error response had no effect
            return CommandResult(response=stored)
        subject = await uow.workflow_subject({**self._path_ids, **json.loads(stored.body)})
        if subject is None:
            return CommandResult(response=stored)
        return CommandResult(response=stored, after_commit=[partial(notify_engine, on_replay, subject)])

    async def _store(self, uow: RequestUnitOfWork, source: ResponseSource) -> None:
        if self._keyed is not None:
            response = self._response(source, secrets=False)
            await uow.keys.store(self._keyed, StoredResponse(status=response.status_code, body=bytes(response.body)))

    def _response(self, source: ResponseSource, *, secrets: bool = True) -> Response:
        match source:
            case AppError():
                return answer_to(source)
            case StoredResponse():
                return _json(source.body, source.status, {REPLAYED: "true"})
            case _:
                hidden = set() if secrets else set(source.shown_once)
                return _json(source.model_dump_json(exclude_none=True, exclude=hidden), self._status)


def _json(document: str | bytes, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(document, status, headers, media_type="application/json")


async def _command(
    request: Request,
    principal: PrincipalDep,
    services: ServicesDep,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            description="A request repeated within 24 hours with the same key and body has no second effect and gets"
            f" the first response, with `{REPLAYED}: true`. 1 to {MAX_CHARS} printable ASCII characters, quoted or"
            " bare",
            examples=['"2d7b9c1e-start"'],
        ),
    ] = None,
) -> IdempotentCommand:
    route = cast(APIRoute, request.scope["route"])
    keys = keys_of(services.settings.jwt_secret)
    keyed = await _keyed(request, principal, keys) if key is not None else None
    return IdempotentCommand(services, principal, route.status_code or 200, request.path_params, keyed)


IdempotencyDep = Annotated[IdempotentCommand, Depends(_command)]


async def _keyed(request: Request, principal: Principal, keys: Sequence[str]) -> KeyedRequest:
    """Hash the body with the installation's keys, so that a password in it cannot be guessed from the stored hash."""
    body = await request.body()
    return KeyedRequest(
        organization_id=principal.organization_id,
        user_id=principal.user_id,
        method=request.method,
        route=request.url.path,
        key=_read(request.headers.getlist(HEADER)),
        request_hashes={key_id(key): hmac.digest(key.encode(), body, "sha256").hex() for key in keys},
    )


def _read(values: Sequence[str]) -> str:
    """Return the key without its quotes."""
    found = _KEY.fullmatch(values[0]) if len(values) == 1 else None
    key = (found["quoted"] or found["bare"]) if found else None
    if not key or len(key) > MAX_CHARS:
        problem = f"must be 1 to {MAX_CHARS} printable ASCII characters, quoted or bare"
        raise InvalidInput("The request is not valid", (Problem(HEADER, problem),))
    return key
