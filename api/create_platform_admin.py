"""`python -m api.create_platform_admin EMAIL`: create a platform admin, the first account of an installation.

On a terminal, the command asks for the password twice and does not show it. Otherwise it reads the password from the
first line of standard input. The password is not an argument, because the shell history and the process list show
arguments.
"""

import asyncio
import sys
from getpass import getpass

from pydantic import ValidationError

from api.schemas.people import FirstAdmin
from api.security.passwords import hash_password
from domain.errors import AppError
from persistence.database import DatabaseSettings, create_engine
from persistence.repositories.people import NewUser
from persistence.request_database import RequestDatabase


async def create(database: RequestDatabase, wanted: FirstAdmin) -> None:
    """Create the account and its audit row.

    Raises:
        Conflict: an account with this address exists.
    """
    password_hash = await asyncio.to_thread(hash_password, wanted.password.get_secret_value())
    async with database.transaction() as uow:
        await uow.people.create_platform_admin(NewUser(email=wanted.email, role="admin", password_hash=password_hash))
        await uow.commit()


async def main(email: str, password: str) -> None:
    wanted = FirstAdmin.model_validate({"email": email, "password": password})
    engine = create_engine(DatabaseSettings(application_name="microcred-command"))
    try:
        await create(RequestDatabase(engine), wanted)
    finally:
        await engine.dispose()


def read_password() -> str:
    """Read the password from the terminal, or from the first line of standard input if that is not a terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass("Password: ")
    if getpass("Repeat the password: ") != password:
        sys.exit("The passwords differ. No account was created.")
    return password


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004  # the command and its argument
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1], read_password()))
    except ValidationError as error:
        sys.exit("; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors(include_input=False)))
    except AppError as error:
        sys.exit(error.message)
    except (EOFError, KeyboardInterrupt):
        sys.exit("\nNo account was created.")
    sys.stdout.write(f"Created the platform admin {sys.argv[1]}.\n")
