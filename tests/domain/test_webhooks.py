"""Waits, outcomes and signing secrets of deliveries, and the validation of webhook URLs."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.webhooks.deliveries import (
    DAY_S,
    JITTER,
    AttemptOutcome,
    DeliveryStatus,
    check_url,
    clamped,
    next_wait_s,
    outcome_of,
    retry_after_s,
    scheduled_wait_s,
    signing_secrets,
    status_after,
)
from domain.webhooks.ip_ranges import is_public
from tests.support.addresses import NOT_PUBLIC, PUBLIC

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEDULE_S = (0.0, 5.0, 300.0)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_wait_is_limited_to_a_day(asked: float) -> None:
    wait = clamped(asked)

    assert (wait is None) == math.isnan(asked)
    assert wait is None or 0 <= wait <= DAY_S


@given(st.text())
def test_any_retry_after_header_is_parsed_without_an_error(header: str) -> None:
    wait = retry_after_s(header, NOW)

    assert wait is None or 0 <= wait <= DAY_S


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("120", 120),
        (" 1.5 ", 1.5),
        ("0", 0),
        ("-5", 0),
        ("1e400", DAY_S),
        ("inf", DAY_S),
        ("-inf", 0),
        ("86401", DAY_S),
        (format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120),
        (format_datetime(NOW - timedelta(minutes=2), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), DAY_S),
        ("Sun, 01 Mar 2026 12:02:00 -0000", None),
        ("Sun, 01 Mar 99999 12:02:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, wait_s: float | None) -> None:
    assert retry_after_s(header, NOW) == wait_s


@given(st.integers(1, 2), st.floats(0, 1))
def test_a_scheduled_wait_is_extended_and_never_shortened(made: int, chance: float) -> None:
    wait_s = scheduled_wait_s(SCHEDULE_S, made, chance)

    assert wait_s is not None
    assert SCHEDULE_S[made] <= wait_s <= SCHEDULE_S[made] * (1 + JITTER)


def test_the_last_attempt_has_no_wait_after_it() -> None:
    assert scheduled_wait_s(SCHEDULE_S, 3, 0.5) is None
    assert next_wait_s(None, 60.0) is None


@pytest.mark.parametrize(
    ("asked_s", "wait_s"), [(None, 5.0), (1.0, 5.0), (60.0, 60.0), (math.inf, DAY_S), (math.nan, 5.0)]
)
def test_a_partner_may_extend_a_wait_but_not_shorten_it(asked_s: float | None, wait_s: float) -> None:
    assert next_wait_s(5.0, asked_s) == wait_s


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (200, AttemptOutcome.DELIVERED),
        (299, AttemptOutcome.DELIVERED),
        (410, AttemptOutcome.GONE),
        *((code, AttemptOutcome.REFUSED) for code in (101, 199, 300, 301, 308, 400, 404, 409, 429, 500, 503, 599, 999)),
    ],
)
def test_only_a_2xx_delivers_and_only_410_is_final(code: int, outcome: AttemptOutcome) -> None:
    assert outcome_of(code) is outcome


@pytest.mark.parametrize(
    ("outcome", "wait_s", "status"),
    [
        (AttemptOutcome.DELIVERED, 5.0, DeliveryStatus.DELIVERED),
        (AttemptOutcome.DELIVERED, None, DeliveryStatus.DELIVERED),
        (AttemptOutcome.GONE, 5.0, DeliveryStatus.DEAD_LETTER),
        (AttemptOutcome.REFUSED, 5.0, DeliveryStatus.PENDING),
        (AttemptOutcome.TIMED_OUT, 0.0, DeliveryStatus.PENDING),
        (AttemptOutcome.UNREACHABLE, None, DeliveryStatus.DEAD_LETTER),
    ],
)
def test_a_delivery_is_pending_until_it_arrives_or_no_attempt_follows(
    outcome: AttemptOutcome, wait_s: float | None, status: DeliveryStatus
) -> None:
    assert status_after(outcome, wait_s) is status


@pytest.mark.parametrize(
    ("previous", "until", "secrets"),
    [
        (None, None, (b"new",)),
        (b"old", NOW + timedelta(seconds=1), (b"new", b"old")),
        (b"old", NOW, (b"new",)),
        (b"old", None, (b"new",)),
    ],
)
def test_the_previous_secret_signs_until_its_end(
    previous: bytes | None, until: datetime | None, secrets: tuple[bytes, ...]
) -> None:
    assert signing_secrets(b"new", previous, until, NOW) == secrets


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_global_unicast_is_not_public(address: str) -> None:
    parsed = IPv6Address(address) if ":" in address else IPv4Address(address)

    assert not is_public(parsed)


@pytest.mark.parametrize("address", PUBLIC)
def test_global_unicast_is_public(address: str) -> None:
    assert is_public(IPv6Address(address) if ":" in address else IPv4Address(address))


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM./a/b?c=d&e", "https://example.com/a/b?c=d&e"),
        ("https://example.com:443/%20x", "https://example.com/%20x"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://xn--bcher-kva.example/x", "https://xn--bcher-kva.example/x"),
        ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ("https://[2606:4700:4700:0::1111]/x", "https://[2606:4700:4700::1111]/x"),
    ],
)
def test_a_url_is_normalized(url: str, called: str) -> None:
    assert str(check_url(url, loopback=False, own_hosts=())) == called


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "http://example.com/",
        "ftp://example.com/",
        "javascript:alert(1)",
        "https://",
        "https:///example.com",
        "https://example.com:8443/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com/#fragment",
        "https://example.com/#",
        "https://example.com/ blank",
        "https://example.com/\n",
        "https://exa\tmple.com/",
        "https://example.com\\@other.com/",
        "https://example.com/ü",
        "https://example.com/?ü",
        "https://example.com../",
        "https://ex%61mple.com/",
        "https://exam_ple.com/",
        "https://-example.com/",
        "https://xn--/",
        f"https://{'a' * 64}.com/",
        f"https://{'a.' * 130}com/",
        f"https://example.com/{'a' * 2048}",
        # other spellings of names
        "https://straße.example/",
        "https://example。com/",
        "https://ｅxample.com/",
        "https://exam\u00adple.com/",
        "https://exam\u200bple.com/",
        "https://ⓔxample.com/",
        # names of this machine or of hosts in its network
        "https://localhost/",
        "https://localhost./",
        "https://intranet/",
        # other spellings of addresses
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://１２７.0.0.1/",
        "https://1.2.3.4.5/",
        "https://example.1/",
        "https://[2606:4700::1%25eth0]/",
        "https://[::1",
        "https://[example.com]/",
        *(f"https://[{address}]/" if ":" in address else f"https://{address}/" for address in NOT_PUBLIC),
    ],
)
def test_a_url_that_may_be_read_as_another_host_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url(url, loopback=False, own_hosts=())

    assert [problem.field for problem in refused.value.problems] == ["url"]


@pytest.mark.parametrize("url", ["https://api.example.org/x", "https://API.example.org./x"])
def test_a_url_of_this_service_is_rejected(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_url(url, loopback=False, own_hosts={"api.example.org"})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/x", "http://localhost:90/", "http://[::1]:5000/x", "https://127.0.0.1:8443/"]
)
def test_the_development_setting_allows_loopback_with_http_and_any_port(url: str) -> None:
    assert str(check_url(url, loopback=True, own_hosts=())) == url
    with pytest.raises(InvalidInput):
        check_url(url, loopback=False, own_hosts=())


@pytest.mark.parametrize(
    "url", ["http://example.com/", "https://example.com:8443/", "http://10.0.0.1/", "ftp://127.0.0.1/"]
)
def test_the_development_setting_allows_nothing_else(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_url(url, loopback=True, own_hosts=())


@given(st.text(max_size=60))
def test_any_text_is_rejected_or_has_a_stable_normal_form(text: str) -> None:
    for url in (text, f"https://{text}"):
        try:
            checked = check_url(url, loopback=False, own_hosts=())
        except InvalidInput:
            continue
        assert check_url(str(checked), loopback=False, own_hosts=()) == checked
