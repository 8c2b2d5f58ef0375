"""Re-encryption of stored secrets with a new key."""

import secrets

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import CorruptData
from persistence.encryption import SecretCipher
from persistence.reseal import reseal
from persistence.tables import WebhookEndpointRow
from tests.support.builders import an_organization
from tests.support.partners import an_endpoint

OLD, NEW = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
SECRETS = ("whsec_Y3VycmVudA==", "whsec_cHJldmlvdXM=")


async def test_both_secrets_decrypt_with_the_new_key_alone(session: AsyncSession) -> None:
    current, previous = (SecretCipher([OLD]).encrypt(each) for each in SECRETS)
    endpoint_id = await an_endpoint(session, secret=current, previous_secret=previous)

    endpoints = await reseal(session, SecretCipher([NEW, OLD]))
    await session.flush()

    row = await session.get_one(WebhookEndpointRow, endpoint_id, populate_existing=True)
    assert row.previous_secret
    assert endpoints == 1
    assert tuple(map(SecretCipher([NEW]).decrypt, (row.secret, row.previous_secret))) == SECRETS


async def test_a_deleted_endpoint_has_no_secret_to_encrypt(session: AsyncSession) -> None:
    await an_endpoint(session, organization_id=await an_organization(session), secret=b"", enabled=False)

    assert await reseal(session, SecretCipher([NEW])) == 0
    assert await session.scalar(select(func.max(func.length(WebhookEndpointRow.secret)))) == 0


async def test_a_secret_with_an_unknown_key_is_an_error(session: AsyncSession) -> None:
    await an_endpoint(session, secret=SecretCipher([OLD]).encrypt(SECRETS[0]))

    with pytest.raises(CorruptData, match="WEBHOOK_SECRET_KEYS"):
        await reseal(session, SecretCipher([NEW]))
