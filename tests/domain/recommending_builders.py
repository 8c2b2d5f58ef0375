"""Build roles, credentials, learners and recommendations for tests of the ranking."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from domain.recommending.ranking import Learner, recommend
from domain.recommending.recommendations import Blend, Neighbour, Trace
from domain.recommending.roles import Credential, CredentialLevel, Role, SkillTarget
from domain.recommending.skills import SkillGap
from tests.domain.builders import CLEANING, SQL, an_id

CHARTS = "Data visualisation"
FOUNDATION, INTERMEDIATE, ADVANCED = CredentialLevel
ROLE = Role(
    id=an_id("role"),
    key="analyst",
    name="Analyst",
    description="",
    skills=(SkillTarget(skill=SQL, description="Joins tables.", target=Decimal("0.8"), importance=Decimal(1)),),
)


def gap(skill: str = SQL, score: str | None = "0.3", target: str = "0.8", importance: str = "1") -> SkillGap:
    value = None if score is None else Decimal(score)
    return SkillGap(
        skill=skill,
        description=f"{skill} as a trade.",
        score=value,
        target=Decimal(target),
        gap=max(Decimal(0), Decimal(target) - (value or 0)),
        importance=Decimal(importance),
        evidence=Decimal(3),
    )


def credential(name: str, *skills: str, **changes: Any) -> Credential:
    valid = Credential(
        id=an_id(name),
        key=name,
        title=name.title(),
        description="",
        skills=skills or (SQL,),
        level=FOUNDATION,
        hours=Decimal(6),
        provider="Demo Academy North",
        source_uri="https://catalog.example.org/credentials/one",
        version="0" * 64,
    )
    return replace(valid, **changes)


def needing(name: str, *prerequisites: str, **changes: Any) -> Credential:
    return credential(name, **({"prerequisites": tuple(an_id(each) for each in prerequisites)} | changes))


def a_trace(of: Credential, similarity: float = 0.5, skill: str = SQL) -> Trace:
    return Trace(
        credential_id=of.id,
        artifact_id=of.id,
        skill=skill,
        source_uri=of.source_uri,
        snippet="",
        similarity=similarity,
    )


def neighbour(name: str, **ratings: str) -> Neighbour:
    reactions = {an_id(key): Decimal(rating) for key, rating in ratings.items()}
    return Neighbour(id=an_id(name), reactions=reactions)


def blend(
    *credentials: Credential,
    gaps: Sequence[SkillGap] = (gap(),),
    similarity: Mapping[str, float] | None = None,
    found: Sequence[str] | None = None,
    **learner: Any,
) -> Blend:
    """Recommend from all credentials, or only those `found`. `similarity` by key replaces the default 0.5."""
    traces = [
        a_trace(each, (similarity or {}).get(each.key, 0.5)) for each in credentials if not found or each.key in found
    ]
    return recommend(ROLE, Learner(gaps=tuple(gaps), **learner), traces, {each.id: each for each in credentials})


def titles(of: Blend) -> list[str]:
    return [item.title for item in of.items]


SKILLS = (SQL, CLEANING, CHARTS, "Statistics")
SCORES = st.none() | st.sampled_from(["0", "0.2", "0.4", "0.55", "0.7", "0.7999", "0.85", "1"])


@st.composite
def learners(draw: st.DrawFn) -> tuple[list[SkillGap], list[Credential], list[str]]:
    """Generate gaps (greatest need first), a catalogue, and the keys that the search found."""
    targets, importances = st.sampled_from(["0.2", "0.8"]), st.sampled_from("123")
    gaps = [gap(skill, draw(SCORES), draw(targets), draw(importances)) for skill in SKILLS]
    keys = [f"c{number}" for number in range(draw(st.integers(1, 10)))]
    offered = [
        credential(
            key,
            *draw(st.lists(st.sampled_from(SKILLS), min_size=1, max_size=2, unique=True)),
            level=draw(st.sampled_from(list(CredentialLevel))),
            prerequisites=tuple(
                an_id(each) for each in draw(st.lists(st.sampled_from(keys), max_size=2, unique=True)) if each != key
            ),
        )
        for key in keys
    ]
    found = draw(st.lists(st.sampled_from(keys), min_size=1, unique=True))
    return sorted(gaps, key=lambda each: (-each.need, each.skill)), offered, found


def sentence(of: Blend, beginning: str) -> str:
    """Return the sentence of the summary with this beginning, or ""."""
    return next((part for part in of.summary.split(". ") if part.startswith(beginning)), "")
