"""Why a credential is recommended, in plain sentences. Every number is one that ranked it, in two places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.recommendations import RecommendedItem
from domain.roles import Credential, Role
from domain.skills import SkillGap

NAMED_GAPS: Final = 3
"""How many gaps a summary names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A candidate with what ranked it.

    `gaps` are those it works on, the neediest first; `similarity` is the best cosine of its text with one of them, None
    where the search did not find it; `reactions` are the neighbours' ratings 1..5; `score` 0..1 is the blend.
    """

    credential: Credential
    gaps: tuple[SkillGap, ...]
    features: Mapping[str, float]
    score: float
    similarity: float | None
    reactions: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a result rests on: earlier learners, and reactions that the confidences are calibrated on.

    `untaught` are gaps that nothing in the catalogue works on, `left` those that nothing in the list does.
    """

    neighbours: int
    calibrated_on: int
    untaught: tuple[str, ...]
    left: tuple[str, ...]


def rationale(ranked: Ranked, opens: Sequence[str]) -> str:
    """Which gap, from which level to which, on what evidence; `opens` are titles that need it first."""
    sentences = [_towards(gap) for gap in ranked.gaps]
    if opens:
        sentences.append(f"It comes first because it is required for {_listed(opens)}.")
    sentences.append(f"It is taught at {ranked.credential.level} level.")
    if ranked.similarity is not None:
        sentences.append(f"Its catalogue text matches with a similarity of {ranked.similarity:.2f}.")
    elif opens:
        sentences.append(f"Its own text was not matched; the evidence is that of {_listed(opens)}.")
    if ranked.reactions:
        mean = sum(ranked.reactions, Decimal(0)) / len(ranked.reactions)
        people = _counted(len(ranked.reactions), "learner")
        sentences.append(f"{people} with a profile like yours rated it {mean:.2f} of 5 on average.")
    return " ".join(sentences)


def summary(role: Role, gaps: Sequence[SkillGap], items: Sequence[RecommendedItem], basis: Basis) -> str:
    """The result in a few sentences: where the learner stands, what is recommended, what it rests on."""
    if not gaps:
        return f"The role {role.name} has no skill targets yet, so there is nothing to recommend for it."
    sentences = [_standing(role, gaps)]
    if not items:
        return f"{sentences[0]} The catalogue has nothing for this that you could start and do not hold already."
    aim = "to close these gaps" if _open(gaps) else "as stretch goals, one level further in the skills that weigh most"
    sentences.append(f"{_counted(len(items), 'credential')} {aim}; start with {items[0].title}.")
    if basis.left:
        sentences.append(f"Nothing here works on {_listed(basis.left)} yet: other gaps weigh more.")
    if basis.untaught:
        sentences.append(f"The catalogue has nothing yet for {_listed(basis.untaught)}.")
    sentences += [_reactions(basis.neighbours), _confidence(basis.calibrated_on)]
    return " ".join(sentences)


def _standing(role: Role, gaps: Sequence[SkillGap]) -> str:
    missing = _open(gaps)
    if not missing:
        return f"You reach all {_counted(len(gaps), 'skill target')} of the role {role.name}."
    named = "; ".join(f"{gap.skill} ({_levels(gap)})" for gap in missing[:NAMED_GAPS])
    of_all = f"{_counted(len(missing), 'gap')} in {_counted(len(gaps), 'skill')}"
    return f"{of_all} for the role {role.name}, weightiest first: {named}."


def _reactions(neighbours: int) -> str:
    if not neighbours:
        return "No earlier learner of this role has reacted to a credential yet, so such reactions did not count."
    return f"The reactions of {_counted(neighbours, 'earlier learner')} with a similar profile counted too."


def _confidence(calibrated_on: int) -> str:
    if not calibrated_on:
        return "Confidences are uncalibrated: too few learners have reacted to say what they come to."
    return f"Confidences are chances of being liked, calibrated on {calibrated_on} reactions."


def _towards(gap: SkillGap) -> str:
    start = f"It works on {gap.skill}" if gap.gap else f"A stretch goal in {gap.skill}"
    if gap.score is None:
        return f"{start}: the role needs {gap.target:.2f} and no answer showed your level."
    shown = f"you stand at {gap.score:.2f} on evidence worth {gap.evidence:.1f} questions"
    return f"{start}: {shown}, and the role needs {gap.target:.2f}."


def _levels(gap: SkillGap) -> str:
    known = "not shown yet" if gap.score is None else f"{gap.score:.2f}"
    return f"{known}, needed {gap.target:.2f}"


def _open(gaps: Sequence[SkillGap]) -> list[SkillGap]:
    return [gap for gap in gaps if gap.gap]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
