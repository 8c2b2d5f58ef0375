"""Signing in at an OIDC provider, with a real one."""

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import select

from api.security.oidc import LoginAttempt, OidcProvider, OidcSettings
from persistence.tables import UserRow
from tests.api.conftest import Api, Person, client_with
from tests.pages.conftest import ORIGIN, Browser
from tests.support.oidc_provider import Provider, oidc_provider, state_of

START = "/sign-in/provider"
CALLBACK = f"{START}/callback"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with oidc_provider(tmp_path_factory.mktemp("oidc") / "provider.log") as running:
        yield running


@dataclass
class Site:
    """Browsers of an installation that is configured for the provider."""

    provider: Provider
    browser: Browser
    other: Browser

    async def go(self, sub: str, browser: Browser | None = None, **query: str) -> httpx.Response:
        """Sign in as the person at the provider; return the response to the provider's answer."""
        browser = browser or self.browser
        return await browser.open(_path(self.provider.authorize(await self.begin(browser, **query), sub)))

    async def begin(self, browser: Browser | None = None, **query: str) -> str:
        """Return the address that the browser is sent to."""
        started = await (browser or self.browser).open(f"{START}?{urlencode(query)}" if query else START)
        assert started.status_code == 303, started.text
        return str(started.headers["Location"])


def _path(address: str) -> str:
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}" == ORIGIN
    return f"{parts.path}?{parts.query}"


def settings_for(provider: Provider, organization: object, **more: Any) -> OidcSettings:
    values = {
        "issuer": provider.issuer,
        "client_id": "microcred",
        "client_secret": SecretStr("a secret/with:characters"),
        "organization": organization,
        "microcred_env": "development",
    }
    return OidcSettings.model_validate(values | more)


@pytest.fixture
def creates_accounts() -> bool:
    return False


@pytest.fixture
async def site(api: Api, provider: Provider, *, creates_accounts: bool) -> AsyncIterator[Site]:
    settings = settings_for(provider, api.organization_id, create_accounts=creates_accounts)
    async with (
        httpx.AsyncClient() as http,
        client_with(api, oidc=OidcProvider(settings, http)) as first,
        client_with(api, oidc=OidcProvider(settings, http)) as second,
    ):
        for each in (first, second):
            each.base_url = httpx.URL(ORIGIN)
        yield Site(provider, Browser(first), Browser(second))


@pytest.fixture
async def student(api: Api) -> Person:
    return await api.person()


def known(provider: Provider, person: Person, **claims: Any) -> str:
    """Create the person at the provider with the same verified address."""
    claims = {"email": f"{person.id}@example.org", "email_verified": True} | claims
    return provider.person(str(person.id), **claims)


async def is_signed_in(browser: Browser) -> bool:
    return (await browser.open("/account/password")).status_code == 200


async def accounts(api: Api, email: str) -> list[UserRow]:
    async with api.sessions() as session:
        return list(await session.scalars(select(UserRow).where(UserRow.email == email)))


async def test_a_person_with_a_verified_address_is_signed_in(site: Site, student: Person) -> None:
    answer = await site.go(known(site.provider, student))

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert await is_signed_in(site.browser)


async def test_an_address_is_compared_in_lower_case(site: Site, student: Person) -> None:
    sub = known(site.provider, student, email=f"{str(student.id).upper()}@Example.org")

    assert (await site.go(sub)).status_code == 303


async def test_the_page_that_was_asked_for_is_opened(site: Site, student: Person) -> None:
    answer = await site.go(known(site.provider, student), next="/learn/roles/x?y=1")

    assert answer.headers["Location"] == "/learn/roles/x?y=1"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_no_other_site_is_opened(site: Site, student: Person, target: str) -> None:
    answer = await site.go(known(site.provider, student), next=target)

    assert answer.headers["Location"] == "/"


async def test_the_request_has_pkce_a_state_and_a_nonce(site: Site) -> None:
    first, second = [parse_qs(urlsplit(await site.begin()).query) for _ in range(2)]

    assert (first["code_challenge_method"], first["redirect_uri"]) == (["S256"], [ORIGIN + CALLBACK])
    assert all(len(first[name][0]) == 43 for name in ("state", "nonce", "code_challenge"))
    assert len({each[name][0] for each in (first, second) for name in ("state", "nonce", "code_challenge")}) == 6


async def test_the_verifier_that_is_sent_with_the_code_belongs_to_the_challenge(
    api: Api, provider: Provider, student: Person
) -> None:
    sent: list[httpx.Request] = []

    async def record(request: httpx.Request) -> None:
        sent.append(request)

    async with httpx.AsyncClient(event_hooks={"request": [record]}) as http:
        client = OidcProvider(settings_for(provider, api.organization_id), http)
        login, back = LoginAttempt(token="a token"), ORIGIN + CALLBACK
        answer = parse_qs(urlsplit(provider.authorize(await client.begin(login, back), known(provider, student))).query)
        identity = await client.finish(login, {name: each[0] for name, each in answer.items()}, back)

    exchange = next(each for each in sent if each.method == "POST")
    verifier = parse_qs(exchange.content.decode())["code_verifier"][0]
    digest = hashlib.sha256(verifier.encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == login.challenge
    assert exchange.headers["Authorization"].startswith("Basic ")
    assert identity.email == f"{student.id}@example.org"


async def test_an_answer_to_the_login_of_another_browser_is_refused(site: Site, student: Person) -> None:
    address = site.provider.authorize(await site.begin(), known(site.provider, student))
    await site.begin(site.other)

    answer = await site.other.open(_path(address))

    assert (answer.status_code, "started in another browser" in answer.text) == (401, True)
    assert not await is_signed_in(site.other)


async def test_an_answer_without_a_login_is_refused(site: Site, student: Person) -> None:
    address = site.provider.authorize(await site.begin(), known(site.provider, student))

    answer = await site.other.open(_path(address))

    assert (answer.status_code, "started in another browser" in answer.text) == (401, True)


async def test_a_changed_state_is_refused(site: Site, student: Person) -> None:
    address = site.provider.authorize(await site.begin(), known(site.provider, student))

    answer = await site.browser.open(_path(address).replace(state_of(address), "another"))

    assert answer.status_code == 401


async def test_an_answer_works_once(site: Site, student: Person) -> None:
    path = _path(site.provider.authorize(await site.begin(), known(site.provider, student)))
    cookies = dict(site.browser.client.cookies)
    await site.browser.open(path)
    site.other.client.cookies.update(cookies)

    assert (await site.other.open(path)).status_code == 401
    assert (await site.browser.open(path)).status_code == 401


async def test_a_cancelled_login_is_said(site: Site) -> None:
    answer = await site.browser.open(_path(site.provider.deny(await site.begin())) + f"&state={'x'}")

    assert (answer.status_code, "was cancelled" in answer.text) == (401, True)


async def test_a_provider_that_refuses_a_login_is_not_a_cancelled_one(site: Site) -> None:
    denied = _path(site.provider.deny(await site.begin()))

    answer = await site.browser.open(denied.replace("access_denied", "temporarily_unavailable"))

    assert "access_denied" in denied
    assert (answer.status_code, "The provider could not sign you in" in answer.text) == (401, True)


@pytest.mark.parametrize("verified", [{"email_verified": False}, {"email_verified": "true"}, {"email_verified": None}])
async def test_an_address_that_is_not_verified_is_refused(
    site: Site, student: Person, verified: dict[str, object]
) -> None:
    assert (await site.go(known(site.provider, student, **verified))).status_code == 401
    assert not await is_signed_in(site.browser)


async def test_an_account_of_another_organization_is_refused(api: Api, site: Site) -> None:
    elsewhere = await api.person(elsewhere=True)

    assert (await site.go(known(site.provider, elsewhere))).status_code == 401


async def test_a_platform_admin_is_refused(api: Api, site: Site) -> None:
    platform = await api.person("platform_admin")

    assert (await site.go(known(site.provider, platform))).status_code == 401


async def test_a_disabled_account_is_refused(api: Api, site: Site) -> None:
    disabled = await api.person(status="disabled")

    assert (await site.go(known(site.provider, disabled))).status_code == 401


async def test_a_person_without_an_account_is_refused(api: Api, site: Site) -> None:
    email = f"{uuid4()}@example.org"

    answer = await site.go(site.provider.person(email, email=email, email_verified=True))

    assert (answer.status_code, await accounts(api, email)) == (401, [])


class TestWithNewAccounts:
    """The setting that creates accounts at the first login."""

    @pytest.fixture
    def creates_accounts(self) -> bool:
        return True

    async def test_the_first_login_creates_a_student(self, api: Api, site: Site) -> None:
        email = f"{uuid4()}@example.org"
        sub = site.provider.person(email, email=email, email_verified=True, name=" Ada  Lovelace ")

        answers = [await site.go(sub, browser) for browser in (site.browser, site.other)]

        [created] = await accounts(api, email)
        assert [each.status_code for each in answers] == [303, 303]
        assert (created.role, created.name, created.password_hash) == ("student", "Ada Lovelace", None)
        assert created.organization_id == api.organization_id

    async def test_an_unverified_address_creates_nothing(self, api: Api, site: Site) -> None:
        email = f"{uuid4()}@example.org"

        await site.go(site.provider.person(email, email=email))

        assert await accounts(api, email) == []

    async def test_the_address_of_another_organization_creates_nothing(self, api: Api, site: Site) -> None:
        elsewhere = await api.person(elsewhere=True)

        answer = await site.go(known(site.provider, elsewhere))

        assert (answer.status_code, len(await accounts(api, f"{elsewhere.id}@example.org"))) == (401, 1)

    async def test_a_disabled_account_stays_disabled(self, api: Api, site: Site) -> None:
        disabled = await api.person(status="disabled")

        answer = await site.go(known(site.provider, disabled))

        [row] = await accounts(api, f"{disabled.id}@example.org")
        assert (answer.status_code, row.status) == (401, "disabled")


async def test_the_button_is_there_only_with_a_provider(site: Site, browser: Browser) -> None:
    with_provider, without = [(await each.open("/sign-in?next=/learn")).text for each in (site.browser, browser)]

    assert 'href="/sign-in/provider?next=%2Flearn"' in with_provider
    assert START not in without
    assert (await browser.open(START)).status_code == 404


@pytest.mark.parametrize(
    "values",
    [
        {"issuer": "https://id.example"},
        {"issuer": "https://id.example", "client_id": "x"},
        {"issuer": "http://id.example", "client_id": "x", "organization": str(UUID(int=1))},
        {"issuer": "ftp://id.example", "client_id": "x", "organization": str(UUID(int=1))},
    ],
    ids=str,
)
def test_incomplete_settings_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        OidcSettings.model_validate(values)
