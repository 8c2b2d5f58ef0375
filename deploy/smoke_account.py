"""Create the smoke test's student in a separate organization: `python -m deploy.smoke_account`.

Run it on the deployment's database. A second run sets the password.
"""

import asyncio
import sys
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.security.passwords import hash_password
from persistence.database import DatabaseSettings, create_engine
from persistence.repositories.accounts import NewAccount, ensure_accounts


class SmokeAccountSettings(BaseSettings):
    """`SMOKE_EMAIL` and `SMOKE_PASSWORD`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    microcred_env: Literal["development", "staging", "production"] = "production"
    smoke_email: str = Field(min_length=3)
    smoke_password: SecretStr = Field(min_length=12)


async def ensure(database: DatabaseSettings, settings: SmokeAccountSettings) -> None:
    password_hash = hash_password(settings.smoke_password.get_secret_value())
    student = NewAccount(email=settings.smoke_email, password_hash=password_hash, role="student")
    engine = create_engine(database)
    try:
        await ensure_accounts(engine, "smoke", "Smoke test", [student])
    finally:
        await engine.dispose()


if __name__ == "__main__":
    wanted = SmokeAccountSettings()
    if wanted.microcred_env == "production":
        sys.exit("Production refuses an account whose password a pipeline knows. Run the smoke test on staging.")
    asyncio.run(ensure(DatabaseSettings(), wanted))
