"""Call every route as every role. A route that is missing in the table of `access_walks.py` fails a test."""

from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from api.middleware.routing import router
from api.pages.routing import PageRoute
from api.security.authorization import ROUTE_PERMISSIONS, CallerRole
from tests.api.access_walks import EVERYBODY, WALKS, Ids, Walk
from tests.api.conftest import Api, Person, essay_of, question_of

SHARED = {"read_credential", "read_import"}
"""Routes whose resources belong to no organization."""


def test_every_route_is_walked(app: FastAPI) -> None:
    routes = [route for route in iter_route_contexts(app.routes) if isinstance(route.original_route, APIRoute)]
    served = {route.name for route in routes if not isinstance(route.original_route, PageRoute)}
    assert served == WALKS.keys() == ROUTE_PERMISSIONS.keys()


def test_a_route_without_a_rule_does_not_start() -> None:
    async def unlisted() -> None: ...

    with pytest.raises(KeyError, match="unlisted"):
        router().get("/unlisted")(unlisted)


@pytest.mark.parametrize("name", WALKS)
async def test_walk(api: Api, name: str) -> None:
    owner = await api.person()
    people = await _people(api, owner)
    ids = await _ids(api, owner)
    statuses = {who: (await _walked(api, WALKS[name], ids, person)).status_code for who, person in people.items()}
    assert statuses == dict(zip(EVERYBODY, WALKS[name].answers, strict=True))


@pytest.mark.parametrize("name", [name for name, walk in WALKS.items() if "{" in walk.path and name not in SHARED])
async def test_a_resource_of_another_user_looks_as_if_it_did_not_exist(api: Api, learner: Person, name: str) -> None:
    stranger = await api.person(
        "student" if CallerRole.STUDENT in (ROUTE_PERMISSIONS[name] or ()) else "admin", elsewhere=True
    )
    ids = await _ids(api, learner)
    theirs, nobodys = [await _walked(api, WALKS[name], each, stranger) for each in (ids, ids.unknown)]
    assert [theirs.status_code, nobodys.status_code] == [404, 404]
    assert theirs.json() == nobodys.json()


async def test_a_list_holds_only_what_its_reader_sees(api: Api) -> None:
    here, there = await api.person(), await api.person(elsewhere=True)
    mine, theirs = (await api.start(here))["assessment_id"], (await api.start(there))["assessment_id"]
    readers = {
        "owner": here,
        "classmate": await api.person(),
        "advisor": await api.person("advisor"),
        "far advisor": await api.person("advisor", elsewhere=True),
    }
    seen = {
        who: {
            item["assessment_id"]
            for item in (await api.get(reader, "/assessments", limit="100")).json()["items"]
            if item["assessment_id"] in {mine, theirs}
        }
        for who, reader in readers.items()
    }
    assert seen == {"owner": {mine}, "classmate": set(), "advisor": {mine}, "far advisor": {theirs}}


async def _walked(api: Api, walk: Walk, ids: Ids, person: Person | None) -> httpx.Response:
    path, body = walk.path.format_map(ids.known), walk.body(ids)
    return await api.client.request(walk.method, path, json=body, headers=person.headers if person else {})


async def _ids(api: Api, owner: Person) -> Ids:
    publication = await api.completed(owner, needs_review=True)
    started = await api.start(owner)
    known = {
        "user": str(owner.id),
        "completed": str(publication.assessment_id),
        "open": started["assessment_id"],
        "essay": question_of(started, "text")["question_id"],
        "item": await _item(api, publication.assessment_id),
        "recommendation": str(publication.recommendation_id),
        "credential": str(api.credentials[0]),
    }
    known["appeal"] = await _appeal(api, owner, known["completed"], essay_of(started, 1))
    known |= await _cohort(api, owner) | await _webhook(api) | await _import(api) | await _api_key(api)
    return Ids(known | await _rescore(api), started)


async def _appeal(api: Api, owner: Person, assessment_id: str, question_id: str) -> str:
    """Open an appeal of an essay that the walks do not use."""
    opened = await api.client.post(
        f"/api/v1/assessments/{assessment_id}/appeals",
        json={"question_id": question_id, "reason": "It is right."},
        headers=owner.headers,
    )
    assert opened.status_code == 201, opened.text
    return str(opened.json()["appeal_id"])


async def _item(api: Api, assessment_id: UUID) -> str:
    advisor = await api.person("advisor")
    queue = await api.get(advisor, "/reviews/queue", assessment_id=str(assessment_id))
    item_id: str = queue.json()["items"][0]["item_id"]
    return item_id


async def _people(api: Api, owner: Person) -> dict[str, Person | None]:
    return {
        "nobody": None,
        "owner": owner,
        "other": await api.person(),
        "advisor": await api.person("advisor"),
        "admin": await api.person("admin"),
        "far_student": await api.person(elsewhere=True),
        "far_advisor": await api.person("advisor", elsewhere=True),
        "far_admin": await api.person("admin", elsewhere=True),
        "platform": await api.person("platform_admin"),
    }


async def _cohort(api: Api, owner: Person) -> dict[str, str]:
    """Create a cohort with the owner as its member."""
    headers = (await api.person("admin")).headers
    made = await api.client.post("/api/v1/cohorts", json={"name": str(uuid4())}, headers=headers)
    cohort_id = made.json()["cohort_id"]
    body = {"user_ids": [str(owner.id)]}
    await api.client.post(f"/api/v1/cohorts/{cohort_id}/members", json=body, headers=headers)
    return {"cohort": cohort_id}


async def _webhook(api: Api) -> dict[str, str]:
    """Create an endpoint of the organization and a delivery to it."""
    headers = (await api.person("admin")).headers
    path, body = WALKS["create_endpoint"].path, WALKS["create_endpoint"].body(Ids({}, {}))
    for earlier in (await api.client.get(path, headers=headers)).json()["items"]:  # their number is limited
        await api.client.delete(f"{path}/{earlier['endpoint_id']}", headers=headers)
    endpoint_id = (await api.client.post(path, json=body, headers=headers)).json()["endpoint_id"]
    sent = await api.client.post(f"{path}/{endpoint_id}/test", headers=headers)
    return {"endpoint": endpoint_id, "delivery": sent.json()["delivery_id"]}


async def _api_key(api: Api) -> dict[str, str]:
    """Create an API key. The number per organization is limited."""
    headers = (await api.person("admin")).headers
    walk = WALKS["create_api_key"]
    known = (await api.client.get(walk.path, headers=headers)).json()["items"]
    if not known:
        known = [(await api.client.post(walk.path, json=walk.body(Ids({}, {})), headers=headers)).json()]
    return {"api_key": known[0]["api_key_id"]}


async def _rescore(api: Api) -> dict[str, str]:
    headers = (await api.person("admin")).headers
    path, body = WALKS["request_rescore"].path, WALKS["request_rescore"].body(Ids({}, {}))
    return {"rescore": (await api.client.post(path, json=body, headers=headers)).json()["rescore_id"]}


async def _import(api: Api) -> dict[str, str]:
    headers = (await api.person("platform_admin")).headers
    path, body = WALKS["import_credentials"].path, WALKS["import_credentials"].body(Ids({}, {}))
    return {"import": (await api.client.post(path, json=body, headers=headers)).json()["import_id"]}
