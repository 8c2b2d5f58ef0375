"""The declarative base and the shared column types."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeAlias, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    CheckConstraint,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

Json: TypeAlias = Any
"""A JSON value."""

Id = Annotated[UUID, mapped_column(primary_key=True)]
Code = Annotated[str, mapped_column(String(64))]
"""A short label that the code defines: an action, a reason, a rule."""
Hash = Annotated[str, mapped_column(String(64))]
"""A SHA-256 hash in hex."""
Document = Annotated[Json, mapped_column(JSONB(none_as_null=True))]
Points = Annotated[Decimal, mapped_column(Numeric(7, 4))]
Cents = Annotated[Decimal, mapped_column(Numeric(14, 6))]
Ids = Annotated[list[UUID], mapped_column(ARRAY(Uuid), server_default=text("'{}'"))]
Names = Annotated[list[str], mapped_column(ARRAY(Text), server_default=text("'{}'"))]
Created = Annotated[datetime, mapped_column(server_default=func.now())]
Updated = Annotated[datetime, mapped_column(server_default=func.now(), onupdate=func.now())]


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy's name for it
        bytes: LargeBinary,
        datetime: TIMESTAMP(timezone=True),
        str: Text,
        UUID: Uuid,
    }


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """Return a check constraint that limits the column to a closed set of labels."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", name=column)


def table_of(row: type[Base]) -> Table:
    """Return the plain table. Statements on it skip the object mapper, which costs more than the statements."""
    return cast(Table, row.__table__)
