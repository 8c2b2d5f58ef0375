"""OpenAIEmbedder through the real SDK and real HTTP: its requests, the vectors that it accepts, the recorded costs."""

import logging
import math
import traceback
from decimal import Decimal

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from activities.adapters.openai.embedder import (
    REQUEST_TEXTS,
    TEXT_BYTES,
    OpenAIEmbedder,
    OpenAIEmbeddingSettings,
)
from domain.errors import (
    AppError,
    InvalidInput,
    ModelBusy,
    ModelCircuitOpen,
    ModelKeyRefused,
    ModelQuotaExhausted,
    ModelRequestRefused,
    ModelTimeout,
    ModelUnavailable,
    ModelUnknown,
    StorageUnavailable,
)
from tests.activities.adapters.conftest import EmbedderOf
from tests.support.fake_completions import (
    BROKEN,
    DRIP,
    EMBEDDING_MODEL,
    HANG,
    HTML,
    NO_CREDIT,
    NO_JSON,
    RESET,
    TOO_MANY,
    UNKNOWN_MODEL,
    WRONG_KEY,
    Answer,
    Asked,
    Rule,
    refusal,
    vectors,
)
from tests.support.fake_search import RecordingLedger, bag_of_words
from tests.support.model_server import KEY, ModelServer

TEXT = "A catalogue text about joins, xylophone."
SHORT_S = 0.3
UNIT = bag_of_words("a")


async def error_of(embedder: OpenAIEmbedder, text: str = TEXT) -> AppError:
    with pytest.raises(AppError) as raised:
        await embedder.embed([text])
    return raised.value


# Requests.


async def test_the_model_is_asked_for_384_dimensions(server: ModelServer, embedder_of: EmbedderOf) -> None:
    await embedder_of().embed([TEXT])

    assert server.asked[0].path == "/v1/embeddings"
    assert server.asked[0].json == {
        "model": EMBEDDING_MODEL,
        "input": [TEXT],
        "dimensions": 384,
        "encoding_format": "float",
    }


async def test_no_text_asks_for_nothing(server: ModelServer, embedder_of: EmbedderOf) -> None:
    assert await embedder_of().embed([]) == []
    assert server.asked == []


async def test_many_texts_are_asked_for_in_several_requests(server: ModelServer, embedder_of: EmbedderOf) -> None:
    texts = [f"text {number}" for number in range(REQUEST_TEXTS + 3)]

    made = await embedder_of().embed(texts)

    assert [len(asked.json["input"]) for asked in server.asked] == [REQUEST_TEXTS, 3]
    assert made[-1] == pytest.approx(bag_of_words(texts[-1]))


async def test_long_texts_are_cut_and_share_a_request_only_while_they_fit(
    server: ModelServer, embedder_of: EmbedderOf
) -> None:
    await embedder_of().embed(["ä b " * 25_000] * 40)

    assert [len(asked.json["input"]) for asked in server.asked] == [32, 8]
    assert {len(text.encode()) for asked in server.asked for text in asked.json["input"]} == {TEXT_BYTES}


async def test_a_cut_never_halves_a_character(server: ModelServer, embedder_of: EmbedderOf) -> None:
    await embedder_of().embed(["é" * TEXT_BYTES, "a" + "é" * TEXT_BYTES])

    assert server.asked[0].json["input"] == ["é" * (TEXT_BYTES // 2), "a" + "é" * (TEXT_BYTES // 2 - 1)]


# Replies.


async def test_vectors_are_assigned_by_their_index(server: ModelServer, embedder_of: EmbedderOf) -> None:
    first, second = bag_of_words("first"), bag_of_words("second")
    rows = [{"index": 1, "embedding": second}, {"index": 0, "embedding": first}]
    server.script(vectors(data=rows))

    assert await embedder_of().embed(["first", "second"]) == [pytest.approx(first), pytest.approx(second)]


async def test_vectors_of_another_length_are_made_unit_ones(server: ModelServer, embedder_of: EmbedderOf) -> None:
    server.script(vectors([3.0, 4.0, *[0.0] * 382]))

    assert (await embedder_of().embed([TEXT]))[0][:2] == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (vectors([1.0] * 1_536), ModelUnknown),
        (vectors([]), ModelUnknown),
        (vectors([math.nan, *[0.1] * 383]), ModelUnavailable),
        (vectors([math.inf, *[0.1] * 383]), ModelUnavailable),
        (vectors([0.0] * 384), ModelUnavailable),
        (vectors(UNIT, UNIT), ModelUnavailable),
        (vectors(), ModelUnavailable),
        (vectors(data=[{"index": 7, "embedding": UNIT}]), ModelUnavailable),
        (vectors(data=[{"index": 0, "embedding": "AAAA"}]), ModelUnavailable),
        (vectors(data=None), ModelUnavailable),
        (NO_JSON, ModelUnavailable),
        (HTML, ModelUnavailable),
    ],
)
async def test_an_invalid_vector_is_rejected(
    server: ModelServer, embedder_of: EmbedderOf, answer: Answer, kind: type[AppError]
) -> None:
    server.script(answer)

    assert type(await error_of(embedder_of())) is kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (WRONG_KEY, ModelKeyRefused),
        (UNKNOWN_MODEL, ModelUnknown),
        (NO_CREDIT, ModelQuotaExhausted),
        (refusal(400, "'$.input' is invalid."), ModelRequestRefused),
        (TOO_MANY, ModelUnavailable),
        (refusal(429, "Later.", retry_after="600"), ModelBusy),
        (BROKEN, ModelUnavailable),
        (RESET, ModelUnavailable),
    ],
)
async def test_failures_are_those_of_the_grader_and_are_met_once(
    server: ModelServer, embedder_of: EmbedderOf, answer: Answer, kind: type[AppError]
) -> None:
    server.script(answer)

    assert type(await error_of(embedder_of())) is kind
    assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [HANG, DRIP])
async def test_the_deadline_ends_a_call_that_hangs_or_sends_slowly(
    server: ModelServer, embedder_of: EmbedderOf, answer: Answer
) -> None:
    server.script(answer)

    assert type(await error_of(embedder_of(embedding_timeout_s=SHORT_S))) is ModelTimeout


async def test_consecutive_failures_open_the_circuit(server: ModelServer, embedder_of: EmbedderOf) -> None:
    embedder = embedder_of(circuit_threshold=2)
    server.vectors = lambda _: BROKEN

    kinds = [type(await error_of(embedder)) for _ in range(3)]

    assert kinds == [ModelUnavailable, ModelUnavailable, ModelCircuitOpen]
    assert len(server.asked) == 2


# Limits and options of an endpoint.

TOO_LONG_TEXT = refusal(413, "`inputs` must have less than 512 tokens. Given: 900")


def at_most(size: int) -> Rule:
    """An endpoint that refuses a batch with a text of more bytes."""

    def rule(asked: Asked) -> Answer:
        texts = asked.json["input"]
        return TOO_LONG_TEXT if max(len(text.encode()) for text in texts) > size else vectors(*map(bag_of_words, texts))

    return rule


async def test_one_long_text_is_cut_without_an_effect_on_other_texts(
    server: ModelServer, embedder_of: EmbedderOf, ledger: RecordingLedger
) -> None:
    texts = ["first", "é long " * 400, "third", "fourth"]
    server.vectors = at_most(1_000)

    made = await embedder_of().embed(texts)

    assert [made[place] for place in (0, 2, 3)] == [pytest.approx(bag_of_words(texts[place])) for place in (0, 2, 3)]
    assert sum(bought.texts for bought in ledger.purchases) == len(texts)
    sent = [asked.json["input"] for asked in server.asked]
    assert sent == [
        [text[:3200] for text in texts],
        texts[:2],
        texts[:1],
        [texts[1]],
        [texts[1].encode()[:1600].decode(errors="ignore")],
        [texts[1].encode()[:1600][:800].decode(errors="ignore")],
        texts[2:],
    ]


async def test_an_endpoint_that_refuses_every_text_is_not_asked_for_ever(
    server: ModelServer, embedder_of: EmbedderOf, ledger: RecordingLedger
) -> None:
    server.vectors = lambda _: TOO_LONG_TEXT

    assert type(await error_of(embedder_of(), "a" * TEXT_BYTES)) is ModelRequestRefused
    assert [len(asked.json["input"][0]) for asked in server.asked] == [8_000, 4_000, 2_000, 1_000, 500, 250]
    assert ledger.purchases == []


async def test_a_batch_that_is_too_large_does_not_count_as_a_failure(
    server: ModelServer, embedder_of: EmbedderOf
) -> None:
    server.script(refusal(500, "input (900 tokens) is too large to process. increase the physical batch size"))

    assert len(await embedder_of(circuit_threshold=1).embed(["first", "second", "third"])) == 3


async def test_dimensions_that_were_refused_are_not_sent_again(server: ModelServer, embedder_of: EmbedderOf) -> None:
    embedder = embedder_of()
    server.script(refusal(400, "dimensions is currently not supported"), vectors(UNIT), vectors(UNIT))

    for _ in range(2):
        await embedder.embed([TEXT])

    assert ["dimensions" in asked.json for asked in server.asked] == [True, False, False]


async def test_a_model_of_other_fixed_dimensions_is_named_as_the_cause(
    server: ModelServer, embedder_of: EmbedderOf
) -> None:
    server.script(refusal(400, "dimensions is currently not supported"), vectors([1.0] * 768))

    assert type(await error_of(embedder_of())) is ModelUnknown


@pytest.mark.parametrize(
    ("indexes", "order"),
    [([None, 1], [0, 1]), ([1, None], [1, 0]), ([None, None], [0, 1]), ([1, 0], [1, 0])],
)
async def test_an_index_that_is_left_out_is_inferred(
    server: ModelServer, embedder_of: EmbedderOf, indexes: list[int | None], order: list[int]
) -> None:
    rows = [
        {"embedding": bag_of_words(name)} | ({} if index is None else {"index": index})
        for name, index in zip(["a", "b"], indexes, strict=True)
    ]
    server.script(vectors(data=rows))

    made = await embedder_of().embed(["first", "second"])

    assert made == [pytest.approx(bag_of_words("ab"[place])) for place in order]


@pytest.mark.parametrize("indexes", [[0, 0], [None, 0], [0, 2], [-1, 0]])
async def test_vectors_with_an_ambiguous_index_are_rejected(
    server: ModelServer, embedder_of: EmbedderOf, indexes: list[int | None]
) -> None:
    server.script(vectors(data=[{"index": index, "embedding": UNIT} for index in indexes]))

    with pytest.raises(ModelUnavailable):
        await embedder_of().embed(["first", "second"])


# Recorded costs.


async def test_each_request_is_recorded_with_its_tokens_and_cents(
    server: ModelServer, embedder_of: EmbedderOf, ledger: RecordingLedger
) -> None:
    server.script(vectors(UNIT, UNIT, tokens=2_500))
    await embedder_of().embed(["first", "second"])

    [bought] = ledger.purchases
    assert (bought.provider, bought.model, bought.texts) == ("openai", EMBEDDING_MODEL, 2)
    assert (bought.tokens, bought.cost_cents, bought.request_id) == (2_500, Decimal("0.005"), "req-1")


async def test_vectors_that_cannot_be_used_were_paid_for(
    server: ModelServer, embedder_of: EmbedderOf, ledger: RecordingLedger
) -> None:
    server.script(vectors([1.0] * 3, tokens=7))

    await error_of(embedder_of())

    assert [bought.tokens for bought in ledger.purchases] == [7]


async def test_a_refused_request_costs_nothing(
    server: ModelServer, embedder_of: EmbedderOf, ledger: RecordingLedger
) -> None:
    server.script(TOO_MANY)

    await error_of(embedder_of())

    assert ledger.purchases == []


async def test_vectors_are_not_returned_when_their_cost_cannot_be_recorded(
    embedder_of: EmbedderOf, ledger: RecordingLedger
) -> None:
    ledger.down = True

    assert type(await error_of(embedder_of())) is StorageUnavailable


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 3}])
async def test_without_tokens_in_the_reply_the_cost_is_not_known(
    server: ModelServer, embedder_of: EmbedderOf, ledger: RecordingLedger, usage: object
) -> None:
    server.script(vectors(UNIT, usage=usage))
    await embedder_of().embed([TEXT])

    [bought] = ledger.purchases
    assert (bought.tokens, bought.cost_cents) == (None, None)


async def test_the_price_of_another_model_is_not_guessed(ledger: RecordingLedger) -> None:
    with ModelServer(models=("embed-it-all",)) as server:
        settings = OpenAIEmbeddingSettings(
            api_key=SecretStr(KEY), base_url=server.base_url, embedding_model="embed-it-all"
        )
        embedder = OpenAIEmbedder(settings, ledger)
        await embedder.embed([TEXT])
        await embedder.close()

    [bought] = ledger.purchases
    assert (bought.tokens, bought.cost_cents) == (6, None)


# Settings.


def test_without_a_key_there_is_no_embedder() -> None:
    with pytest.raises(InvalidInput):
        OpenAIEmbedder(OpenAIEmbeddingSettings(api_key=None), RecordingLedger())


def test_the_model_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_EMBEDDING_MODEL", "text-embedding-3-large")
    monkeypatch.setenv("OPENAI_EMBEDDING_TIMEOUT_S", "3")

    settings = OpenAIEmbeddingSettings()

    assert (settings.embedding_model, settings.embedding_timeout_s) == ("text-embedding-3-large", 3)


@pytest.mark.parametrize("answer", [refusal(400, f"Invalid: {TEXT} {KEY}"), NO_JSON, RESET, vectors([1.0])])
async def test_neither_key_nor_text_leaves_in_errors_or_logs(
    server: ModelServer, embedder_of: EmbedderOf, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script(answer)

    with capture_logs() as events:
        error = await error_of(embedder_of())

    printed = "\n".join(["".join(traceback.format_exception(error)), repr(vars(error)), str(events), caplog.text])
    assert TEXT not in printed
    assert KEY not in printed
