"""Login with a password."""

import asyncio
import threading

import pytest

from api.security.passwords import COST, Passwords, hash_password
from domain.passwords import PasswordTooLong
from tests.api.conftest import Api, client_with

TOKEN = "/api/v1/auth/token"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def password_hash() -> str:
    return hash_password(PASSWORD)


async def test_a_login_gives_a_token_that_works(api: Api, password_hash: str) -> None:
    person = await api.person(email="Ada.L@example.org", password_hash=password_hash)
    answer = await api.client.post(TOKEN, data={"username": "ada.l@EXAMPLE.org", "password": PASSWORD})
    assert answer.status_code == 200
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("bearer", 900)
    assert answer.headers["Cache-Control"] == "no-store"
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    me = await api.client.get("/api/v1/me", headers=headers)
    assert me.json() == {
        "user_id": str(person.id),
        "role": "student",
        "organization_id": str(api.organization_id),
    }


async def test_wrong_password_unknown_address_and_the_unusable_look_the_same(api: Api, password_hash: str) -> None:
    await api.person(email="known@example.org", password_hash=password_hash)
    await api.person(email="without@example.org", password_hash=None)
    await api.person(email="gone@example.org", password_hash=password_hash, status="disabled")
    tried = {
        "known@example.org": "wrong",
        "unknown@example.org": PASSWORD,
        "without@example.org": PASSWORD,
        "gone@example.org": PASSWORD,
        "a\0b@example.org": PASSWORD,
        "a" * 300: PASSWORD,
    }
    answers = [
        await api.client.post(TOKEN, data={"username": username, "password": password})
        for username, password in tried.items()
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


async def test_a_password_is_never_cut(api: Api) -> None:
    await api.person(email="long@example.org", password_hash=hash_password("x" * 72))
    too_long = await api.client.post(TOKEN, data={"username": "long@example.org", "password": "x" * 73})
    exact = await api.client.post(TOKEN, data={"username": "long@example.org", "password": "x" * 72})
    assert (too_long.status_code, exact.status_code) == (401, 200)
    with pytest.raises(PasswordTooLong):
        hash_password("é" * 37)


@pytest.mark.parametrize("form", [{}, {"username": "a"}, {"grant_type": "other", "username": "a", "password": "b"}])
async def test_an_incomplete_form_is_400(api: Api, form: dict[str, str]) -> None:
    answer = await api.client.post(TOKEN, data=form)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")


def test_hashes_have_the_configured_cost(password_hash: str) -> None:
    assert password_hash.startswith(f"$2b${COST}$")


@pytest.mark.parametrize("username", ["counted@example.org", "nobody@example.org", "a\0b", "disabled@example.org"])
async def test_every_login_costs_one_hash_of_the_same_cost(api: Api, password_hash: str, username: str) -> None:
    if username.endswith("@example.org") and not username.startswith("nobody"):
        status = "disabled" if username.startswith("disabled") else "active"
        await api.person(email=username, password_hash=password_hash, status=status)
    checked: list[bytes] = []

    def check(_: bytes, against: bytes) -> bool:
        checked.append(against)
        return False

    passwords = Passwords(check=check)
    async with client_with(api, passwords=passwords) as client:
        answer = await client.post(TOKEN, data={"username": username, "password": PASSWORD})

    passwords.close()
    assert answer.status_code == 401
    assert [each[:7] for each in checked] == [f"$2b${COST}$".encode()]


async def test_logins_beyond_the_queue_get_503_with_retry_after(api: Api) -> None:
    turn = threading.Event()
    passwords = Passwords(concurrency=1, max_pending=3, check=lambda *_: turn.wait(60))
    form = {"username": "nobody@example.org", "password": PASSWORD}
    waiting = [asyncio.create_task(passwords.verify(PASSWORD, None)) for _ in range(3)]
    await asyncio.sleep(0)  # each login enters the queue

    async with client_with(api, passwords=passwords) as client:
        beyond = await client.post(TOKEN, data=form)
        turn.set()
        await asyncio.gather(*waiting)
        after = await client.post(TOKEN, data=form)

    passwords.close()
    assert (beyond.status_code, beyond.json()["error_code"]) == (503, "UNAVAILABLE_503")
    assert int(beyond.headers["Retry-After"]) > 0
    assert after.status_code == 401


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("username=a%40example.org&username=b%40example.org&password=x", 400),
        ("username=a%40example.org&password=x&password=y", 400),
        ("username=%ED%A0%80&password=x", 400),
        ("username=a%40example.org&password=" + "x" * 16 * 1024, 413),
        ("username=a%40example.org&password=%F0%9F%94%91+and+more", 401),
    ],
    ids=["two names", "two passwords", "no UTF-8", "a long one", "a usual one"],
)
async def test_a_form_is_read_strictly(api: Api, form: str, status: int) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await api.client.post(TOKEN, content=form, headers=headers)
    assert answer.status_code == status, answer.text
