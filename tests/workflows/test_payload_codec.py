"""Encryption of payloads: keys, rotation, and what a real server stores."""

import base64
from collections.abc import Iterator
from uuid import uuid4

import pytest
from google.protobuf.message import Message
from pydantic import SecretStr, ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError, WorkflowHistory
from temporalio.worker import Replayer, Worker

from activities.failures import FailureInterceptor
from domain.errors import CorruptData
from tests.workflows.sandbox import STRICT
from tests.workflows.scripted import ScriptedActivities
from tests.workflows.test_essays import failing
from workflows.engine.payload_codec import ENCODING, PayloadCipher, PayloadSettings, data_converter
from workflows.engine.workers import WORKFLOW_INTERCEPTORS
from workflows.policies import Queue
from workflows.revision import RevisionInput, RevisionWorkflow

OLD, NEW = (base64.urlsafe_b64encode(bytes([number] * 31 + [1])).decode().rstrip("=") for number in (1, 2))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"a readable text"')
NOT_ENCRYPTED = {"search_attributes", "header", "marker_recorded_event_attributes"}
"""Fields with payloads that are not encrypted: they hold opaque ids, and the ids of patches."""


def cipher(keys: str) -> PayloadCipher:
    found = PayloadSettings(payload_keys=SecretStr(keys)).cipher()
    assert found is not None
    return found


async def test_a_payload_is_readable_only_with_the_key() -> None:
    ours = cipher(f"a:{NEW}")

    (stored,) = await ours.encode([PLAIN])

    assert b"readable" not in stored.SerializeToString()
    assert stored.metadata["encoding"] == ENCODING
    assert await ours.decode([stored]) == [PLAIN]


async def test_both_keys_decrypt_during_a_rotation_and_the_first_one_encrypts() -> None:
    (before,) = await cipher(f"a:{OLD}").encode([PLAIN])
    both = cipher(f"b:{NEW},a:{OLD}")

    (after,) = await both.encode([PLAIN])

    assert await both.decode([before, after]) == [PLAIN, PLAIN]
    assert await cipher(f"b:{NEW}").decode([after]) == [PLAIN]


async def test_equal_payloads_are_stored_differently() -> None:
    first, second = await cipher(f"a:{NEW}").encode([PLAIN, PLAIN])

    assert first.data != second.data


async def test_without_the_key_its_id_is_named() -> None:
    stored = await cipher(f"2025:{OLD}").encode([PLAIN])

    with pytest.raises(CorruptData, match="'2025'"):
        await cipher(f"b:{NEW}").decode(stored)


async def test_a_changed_payload_is_refused() -> None:
    ours = cipher(f"a:{NEW}")
    (stored,) = await ours.encode([PLAIN])
    stored.data = stored.data[:-1] + bytes([stored.data[-1] ^ 1])

    with pytest.raises(CorruptData, match="changed"):
        await ours.decode([stored])


async def test_off_decrypts_and_encrypts_nothing() -> None:
    (stored,) = await cipher(f"a:{OLD}").encode([PLAIN])
    off = cipher(f"off,a:{OLD}")

    assert await off.encode([PLAIN]) == [PLAIN]
    assert await off.decode([stored, PLAIN]) == [PLAIN, PLAIN]


def test_encryption_is_off_by_default() -> None:
    assert PayloadSettings().cipher() is None
    assert data_converter(None).payload_codec is None


@pytest.mark.parametrize("keys", ["a", "a:short", f"a:{NEW},a:{OLD}", "off", f"a:{NEW},off", f"a b:{NEW}"])
def test_unusable_keys_stop_the_start_without_being_printed(keys: str) -> None:
    with pytest.raises(ValidationError) as error:
        PayloadSettings(payload_keys=SecretStr(keys))

    assert NEW not in str(error.value)


def payloads(message: Message) -> Iterator[Payload]:
    """All payloads of a message, without those of NOT_ENCRYPTED."""
    for field, value in message.ListFields():
        if field.name in NOT_ENCRYPTED or field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = [each for each in value.values() if isinstance(each, Message)]
        else:
            values = list(value) if field.is_repeated else [value]
        for each in values:
            if isinstance(each, Payload):
                yield each
            else:
                yield from payloads(each)


async def history(client: Client, keys: str, *, fails: bool) -> WorkflowHistory:
    """The history of a run whose activity fails, or not, with these keys."""
    config = client.config()
    config["data_converter"] = data_converter(cipher(keys))
    encrypting, suffix, activities = Client(**config), f"-{uuid4()}", ScriptedActivities()
    if fails:
        activities.script["begin_revision"] = failing(lambda: CorruptData("a readable failure"))
    async with Worker(
        encrypting,
        task_queue=Queue.ASSESSMENTS + suffix,
        workflows=[RevisionWorkflow],
        workflow_runner=STRICT,
        activities=activities.all(),
        interceptors=[FailureInterceptor(), *WORKFLOW_INTERCEPTORS],
    ):
        handle = await encrypting.start_workflow(
            RevisionWorkflow.run,
            RevisionInput(assessment_id=uuid4(), last_failure="a readable text"),
            id=f"revision-{uuid4()}",
            task_queue=Queue.ASSESSMENTS + suffix,
            start_signal="retry_degraded",
            static_summary="A readable summary",
        )
        if fails:
            with pytest.raises(WorkflowFailureError) as failure:
                await handle.result()
            assert "a readable failure" in str(failure.value.cause)
        else:
            await handle.result()
    return await handle.fetch_history()


@pytest.mark.parametrize("fails", [True, False])
async def test_a_server_stores_nothing_readable(temporal_client: Client, *, fails: bool) -> None:
    found = await history(temporal_client, f"a:{NEW}", fails=fails)

    stored = [payload for event in found.events for payload in payloads(event)]
    assert stored
    assert {payload.metadata["encoding"] for payload in stored} == {ENCODING}
    assert b"readable" not in b"".join(event.SerializeToString() for event in found.events)


async def test_a_history_of_the_old_key_is_replayed_during_a_rotation(temporal_client: Client) -> None:
    found = await history(temporal_client, f"a:{OLD}", fails=True)

    await Replayer(
        workflows=[RevisionWorkflow],
        data_converter=data_converter(cipher(f"b:{NEW},a:{OLD}")),
        interceptors=WORKFLOW_INTERCEPTORS,
        workflow_runner=STRICT,
    ).replay_workflow(found)
