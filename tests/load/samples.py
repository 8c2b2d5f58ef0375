"""Sample the memory, files, connections and waiting work of a running stack, and compare the first and last third."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from statistics import mean
from typing import Final, TypeAlias

import psutil
import psycopg

from tests.benchmarks.servers import Servers, family


class Kind(StrEnum):
    """What a value counts. Memory is in MB."""

    MEMORY = "memory MB"
    FILES = "open files"
    CONNECTIONS = "connections"
    WAITING = "waiting"


RATIO: Final = 1.05
SLACK: Final = {Kind.MEMORY: 0, Kind.FILES: 2, Kind.CONNECTIONS: 2, Kind.WAITING: 10}
"""What may be added to the first third's mean times RATIO: a small number varies by more than 5 %."""

Key: TypeAlias = tuple[Kind, str]
Sample: TypeAlias = Mapping[Key, float]
"""Values at one moment, by kind and by the name of a process or of what waits."""


@dataclass(frozen=True, slots=True)
class Growth:
    """The means of a value over the first and the last third of the samples."""

    kind: Kind
    name: str
    first: float
    last: float

    @property
    def ratio(self) -> float:
        return self.last / self.first if self.first else math.inf if self.last else 1.0

    @property
    def is_too_large(self) -> bool:
        return self.last > self.first * RATIO + SLACK[self.kind]


def growth(samples: Sequence[Sample]) -> list[Growth]:
    """Compare the thirds for each value. A value that a sample lacks counts as 0.

    Raises:
        ValueError: there are fewer than three samples.
    """
    third = len(samples) // 3
    if not third:
        raise ValueError(f"{len(samples)} samples are too few: there must be three at least")
    keys = sorted({key for sample in samples for key in sample})
    return [
        Growth(
            *key,
            mean(each.get(key, 0) for each in samples[:third]),
            mean(each.get(key, 0) for each in samples[-third:]),
        )
        for key in keys
    ]


def of_processes(shared: Servers) -> Sample:
    """Sample each process with its children, and the connections to the product's database."""
    found: dict[Key, float] = {}
    for name, process in shared.processes.items():
        members = family(process)
        found[Kind.MEMORY, name] = sum(map(_memory_mb, members))
        found[Kind.FILES, name] = sum(map(_files, members))
    with psycopg.connect(shared.postgres.url.replace("+psycopg", ""), autocommit=True) as connection:
        rows = connection.execute(
            "SELECT application_name, count(*) FROM pg_stat_activity"
            " WHERE application_name LIKE 'microcred%' GROUP BY application_name"
        )
        found |= {(Kind.CONNECTIONS, name): count for name, count in rows}
    return found


def _memory_mb(process: psutil.Process) -> float:
    """Return the proportional set size, in which a page that n processes share counts as 1/n, if the system reports it.

    Elsewhere return the resident set size. There the buffers that PostgreSQL shares count once per connection.
    """
    with suppress(psutil.NoSuchProcess):
        try:
            memory = process.memory_full_info()
        except psutil.AccessDenied:
            return float(process.memory_info().rss) / 2**20
        return float(getattr(memory, "pss", memory.rss)) / 2**20
    return 0.0


def _files(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return int(process.num_fds())
    return 0
