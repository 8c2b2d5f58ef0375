"""`make evaluate`: measure a grader's agreement with people. Run it before changing a prompt, a rubric or a model.

DATA      the labelled set: a CSV file or a folder (`labelled_sets` describes the formats), `reviews` for the reviewers'
          levels in the database at DATABASE_URL, or empty for the labelled answers of the project's own questions
GRADER    `local`, `openai` (with OPENAI_API_KEY and the worker's other settings; this costs money, and the maximum is
          printed first) or `ridge`, a plain baseline; several separated by commas
K         the number of labelled answers of an item that the grader sees, several separated by commas, or `all` except
          the graded one; a language model sees only a rubric's examples, so it requires `all`
SPLITS    the number of random choices of those K answers (default 20, with fixed seeds)
N         the highest number of answers of an item to grade in each split
BASELINE  `update` stores the figures in `baseline.json`; otherwise the command fails if they are worse than stored
CONCURRENCY  essays at a time with a language model; each has ESSAY_SAMPLES gradings, a doubtful one at most
          ESSAY_MOST_SAMPLES
ATTACKS   the number of attacks that are appended to graded answers, to measure what they gain with a language model
          (default 24; 0 measures nothing)

It prints tables and writes `.local/reports/evaluate.json` and `evaluate.svg`. Kappas are means over the items; their
intervals estimate the variation with other answers to the same items.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from activities.adapters.local_grader.anchor_model import labelled_answers
from activities.adapters.local_grader.grader import LocalEssayGrader
from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from activities.adapters.openai.grader import OpenAIEssayGrader, OpenAISettings
from domain.errors import AppError, InvalidInput
from domain.grading.ports import EssayGrader
from tests.benchmarks import report
from tests.evaluation import baseline
from tests.evaluation.agreement import Judged
from tests.evaluation.cached_vectors import CachedVectors
from tests.evaluation.graders import ModelGrader, OnceEmbedder, RidgeGrader
from tests.evaluation.labelled_sets import LabelledItem, read_set
from tests.evaluation.model_grading import Attacked, attacked_essays, injection
from tests.evaluation.plot import svg
from tests.evaluation.runs import Run, a_run, plain, tables
from tests.evaluation.trials import ALL_OTHERS, Protocol, Question, grade, questions

COMMAND: Final = "evaluate"
GRADERS: Final = ("local", "ridge", "openai")
BAD_INPUT: Final = 2
EMBEDDED_AT_A_TIME: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to evaluate; `samples`, `most_samples`, `attacks` and `concurrency` apply to a language model."""

    data: str
    graders: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    update: bool
    samples: int
    most_samples: int
    attacks: int
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A grader and a function that describes its run afterwards."""

    name: str
    grader: EssayGrader
    about: Callable[[], Mapping[str, object]]


def planned(environment: Mapping[str, str]) -> Plan:
    """Parse the environment variables. An empty variable counts as missing.

    Raises:
        InvalidInput: A variable has an invalid value.
    """
    given = {name: value for name, value in environment.items() if value}
    graders = tuple(given.get("GRADER", "local").split(","))
    if unknown := sorted({*graders} - {*GRADERS}):
        raise InvalidInput(f"GRADER must be one of {', '.join(GRADERS)}; got {', '.join(unknown)}")
    shown = given.get("K", ALL_OTHERS).split(",")
    if "openai" in graders and shown != [ALL_OTHERS]:
        raise InvalidInput("A language model does not learn from K labelled answers. Remove K")
    if given.get("BASELINE", "update") != "update":
        raise InvalidInput("BASELINE must be update or empty")
    splits = _number("SPLITS", given.get("SPLITS", "20"), 1)
    graded = _number("N", given["N"], 1) if "N" in given else None
    return Plan(
        data=given.get("DATA", ""),
        graders=graders,
        protocols=tuple(
            Protocol(shown=None if each == ALL_OTHERS else _number("K", each, 1), splits=splits, graded=graded)
            for each in shown
        ),
        update="BASELINE" in given,
        samples=_number("ESSAY_SAMPLES", given.get("ESSAY_SAMPLES", "1"), 1),
        most_samples=_number("ESSAY_MOST_SAMPLES", given.get("ESSAY_MOST_SAMPLES", "3"), 1),
        attacks=_number("ATTACKS", given.get("ATTACKS", "24"), 0),
        concurrency=_number("CONCURRENCY", given.get("CONCURRENCY", "8"), 1),
    )


async def evaluate(plan: Plan) -> list[Run]:
    """Evaluate every grader with every protocol.

    Raises:
        InvalidInput: The set or a grader's settings are invalid.
    """
    items = read_set(plan.data)
    asked = {protocol: _asked(items, protocol) for protocol in plan.protocols}
    minilm = MiniLMEmbedder(MiniLMSettings())
    once = OnceEmbedder(CachedVectors(minilm))
    known_words: frozenset[str] = frozenset()
    found = []
    try:
        if {*plan.graders} - {"openai"}:
            await minilm.warm()
            known_words = await minilm.words()
        for name in plan.graders:
            texts = texts_of(asked.values())
            opened = _language_model(plan) if name == "openai" else _learner(name, once, texts, known_words)
            async with opened as contender:
                found += [await _run(contender, plan, protocol, chosen) for protocol, chosen in asked.items()]
    finally:
        minilm.close()
    return found


def _asked(items: Sequence[LabelledItem], protocol: Protocol) -> list[Question]:
    found = {item.key: list(questions(item, protocol)) for item in items}
    if missing := [key for key, chosen in found.items() if not chosen]:
        report.say(f"K={protocol.name} leaves nothing to grade of {', '.join(missing)}")
    if len(missing) == len(items):
        raise InvalidInput(f"No item has enough labelled answers for K={protocol.name}")
    return [question for chosen in found.values() for question in chosen]


def texts_of(asked: Iterable[Sequence[Question]]) -> list[str]:
    """Return each text once that any of the protocols grades or shows."""
    essays = (question.essay for chosen in asked for question in chosen)
    used = (text for essay in essays for text in (essay.text, *(each.text for each in labelled_answers(essay))))
    return list(dict.fromkeys(used))


async def embed(once: OnceEmbedder, texts: Sequence[str]) -> None:
    """Embed the texts and report the progress on standard error."""
    for begin in range(0, len(texts), EMBEDDED_AT_A_TIME):
        await once.embed_long(texts[begin : begin + EMBEDDED_AT_A_TIME])
        done = min(begin + EMBEDDED_AT_A_TIME, len(texts))
        sys.stderr.write(f"embedded {done} of {len(texts)} answers\n")
        sys.stderr.flush()


@asynccontextmanager
async def _learner(
    name: str, once: OnceEmbedder, texts: Sequence[str], known_words: frozenset[str]
) -> AsyncIterator[Contender]:
    """Return a grader that learns from labelled answers, with the vectors of `texts` already computed."""
    await embed(once, texts)
    grader = LocalEssayGrader(once, known_words=known_words) if name == "local" else RidgeGrader(once)
    about = {"milliseconds to embed an answer, not included in the table": round(once.ms_a_text, 1)}
    yield Contender(name=name, grader=grader, about=lambda: about)


@asynccontextmanager
async def _language_model(plan: Plan) -> AsyncIterator[Contender]:
    model = OpenAIEssayGrader(OpenAISettings())
    grader = ModelGrader(model, samples=plan.samples, most=plan.most_samples, concurrency=plan.concurrency)
    try:
        yield Contender(name=f"openai {model.model}", grader=grader, about=lambda: grader.about)
    finally:
        await model.close()


async def _run(contender: Contender, plan: Plan, protocol: Protocol, asked: Sequence[Question]) -> Run:
    title = f"{contender.name} K={protocol.name}"
    attacks = plan.attacks if isinstance(contender.grader, ModelGrader) else 0
    attacked = attacked_essays([each.essay for each in asked], attacks)
    report.say(f"{title}: {len(asked)} answers to grade{_price(contender.grader, asked, attacked)}")
    judged: list[Judged] = []
    for key in dict.fromkeys(each.item.key for each in asked):
        judged += await grade(contender.grader, [each for each in asked if each.item.key == key])
        report.say(f"  {key}")
    about = dict(contender.about())
    if attacked:
        about["injection"] = await injection(contender.grader, attacked)
    name = f"{Path(plan.data).name or 'anchors'}: {title}"
    name += "" if protocol.shown is None else f" SPLITS={protocol.splits}"
    name += "" if protocol.graded is None else f" N={protocol.graded}"
    return a_run(name, title, about, judged)


def _price(grader: EssayGrader, asked: Sequence[Question], attacked: Sequence[Attacked]) -> str:
    """Return the highest cost of a language model; other graders cost nothing."""
    if not isinstance(grader, ModelGrader):
        return ""
    calls, cents = grader.calls_at_most([*(each.essay for each in asked), *(each.essay for each in attacked)])
    price = "at an unknown price" if cents is None else f"for at most {cents / 100:.2f} US dollars"
    return f", with at most {calls} calls {price}"


def compared(runs: Sequence[Run], *, update: bool, path: Path = baseline.BASELINE) -> list[str]:
    """Compare runs with the baseline and return the regressions; with `update`, store the runs instead."""
    now = {run.name: baseline.guarded(run.overall) for run in runs}
    if update:
        baseline.update(now, path)
        return []
    stored = baseline.read(path)
    return [
        f"{name}: {worse}"
        for name, figures in now.items()
        for worse in baseline.regressions(stored.get(name, {}), figures)
    ]


def _number(name: str, value: str, at_least: int) -> int:
    if not (value.isascii() and value.isdigit()) or int(value) < at_least:
        raise InvalidInput(f"{name} must be a whole number from {at_least}; got {value}")
    return int(value)


def main() -> int:
    try:
        plan = planned(os.environ)
        runs = asyncio.run(evaluate(plan))
    except AppError as error:
        report.say(error.message)
        return BAD_INPUT
    except ValidationError as error:
        report.say(str(error))
        return BAD_INPUT
    report.say("\n" + tables(runs))
    written = report.write(COMMAND, {"runs": plain(runs)})
    picture = written.with_suffix(".svg")
    kappas = {run.title: (run.bins, {key: found.kappa for key, found in run.items.items()}) for run in runs}
    picture.write_text(svg(kappas), encoding="utf-8")
    report.say(f"\nWritten to {written} and {picture}")
    worse = compared(runs, update=plan.update)
    verdict = "Worse than" if worse else "No worse than"
    report.say("\n".join([f"{verdict} what {baseline.BASELINE.name} says of these runs.", *worse]))
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
