"""The floor of the API's benchmark: an API as in the documentation of FastAPI and SQLAlchemy, on the same engine.

It has one table, one indexed read and one insert; no tokens, no rate limits and only type validation. Start it with
`python -m tests.benchmarks.bare_api PORT`.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from persistence.database import DatabaseSettings, create_engine


class Base(DeclarativeBase):
    pass


class NoteRow(Base):
    """A row about as wide as an assessment's status."""

    __tablename__ = "bare_notes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    owner_id: Mapped[UUID] = mapped_column(index=True)
    status: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class NewNote(BaseModel):
    owner_id: UUID
    status: str
    text: str


class Note(NewNote):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    done: bool
    created_at: datetime
    updated_at: datetime


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine = create_engine(DatabaseSettings())
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    yield
    await engine.dispose()


async def opened(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(opened)]

app = FastAPI(lifespan=lifespan)


@app.get("/notes/{note_id}", response_model=Note)
async def read(note_id: UUID, session: Session) -> Any:
    row = await session.get(NoteRow, note_id)
    if row is None:
        raise HTTPException(404)
    return row


@app.post("/notes", status_code=201, response_model=Note)
async def add(new: NewNote, session: Session) -> Any:
    row = NoteRow(**new.model_dump())
    session.add(row)
    await session.commit()
    return row


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_config=None, server_header=False, proxy_headers=False)
