"""Why a credential is recommended, in sentences for the student. Every number is one that ranked it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.recommending.recommendations import RecommendedItem
from domain.recommending.roles import Credential, Role
from domain.recommending.skills import SkillGap

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

    `untaught` are gaps that nothing the learner could start works on, `left` those that only the list does not.
    """

    neighbours: int
    calibrated_on: int
    untaught: tuple[str, ...]
    left: tuple[str, ...]


def rationale(ranked: Ranked, opens: Sequence[str]) -> str:
    """Which gap, from which score to which, on what evidence; `opens` are titles that need it first."""
    sentences = [_score(gap) for gap in ranked.gaps]
    aim = "covers" if any(gap.gap for gap in ranked.gaps) else "takes you further in"
    what = {0: "", 1: f" {aim} it"}.get(len(ranked.gaps), f" {aim} these skills")
    course = f"This {ranked.credential.level} course"
    match = "" if ranked.similarity is None else f" (catalogue match {ranked.similarity:.2f})"
    if opens:
        needing = f"is required for {_listed(opens)}, so take it first"
        what = f"{what} and {needing}" if what else f" {needing}"
    sentences.append(f"{course}{what}{match}.")
    if ranked.reactions:
        mean = sum(ranked.reactions, Decimal(0)) / len(ranked.reactions)
        people = _counted(len(ranked.reactions), "learner")
        sentences.append(f"{people} with a profile like yours rated it {mean:.2f} of 5 on average.")
    return " ".join(sentences)


def summary(role: Role, gaps: Sequence[SkillGap], items: Sequence[RecommendedItem], basis: Basis) -> str:
    """The result in a few sentences: the learner's scores, what is recommended, what it rests on."""
    if not gaps:
        return f"The role {role.name} has no skill targets yet, so there is nothing to recommend for it."
    sentences = [_standing(role, gaps)]
    if not items:
        return f"{sentences[0]} The catalogue has nothing for this that you could start and do not hold already."
    aim = "to close these gaps" if _open(gaps) else "to go further"
    sentences.append(f"We recommend {_counted(len(items), 'credential')} {aim}. Start with {items[0].title}.")
    if basis.left:
        sentences.append(f"Not covered by this list yet: {_listed(basis.left)}.")
    if basis.untaught:
        sentences.append(f"The catalogue has no course for {_listed(basis.untaught)} that you could start now.")
    sentences += [_reactions(basis.neighbours), _confidence(basis.calibrated_on)]
    return " ".join(sentences)


def _standing(role: Role, gaps: Sequence[SkillGap]) -> str:
    missing = _open(gaps)
    if not missing:
        return f"You reach all {_counted(len(gaps), 'skill target')} of the role {role.name}."
    named = "; ".join(f"{gap.skill} ({_levels(gap)})" for gap in missing[:NAMED_GAPS])
    of_all = f"{len(missing)} of {_counted(len(gaps), 'skill')} {'is' if len(missing) == 1 else 'are'} below the target"
    return f"{of_all} of the role {role.name}, the most important first: {named}."


def _reactions(neighbours: int) -> str:
    if not neighbours:
        return "No earlier learner of this role has reacted to a credential yet, so such reactions did not count."
    return f"The reactions of {_counted(neighbours, 'earlier learner')} with a similar profile counted too."


def _confidence(calibrated_on: int) -> str:
    if not calibrated_on:
        return "Confidences are uncalibrated: too few learners have reacted to say what they come to."
    return f"Confidences are chances of being liked, calibrated on {calibrated_on} reactions."


def _score(gap: SkillGap) -> str:
    scored, target = _percentages(gap)
    if gap.score is None and gap.gap:
        return f"No answer showed your level in {gap.skill} yet; the role asks for {target}."
    if gap.gap:
        return f"You scored {scored} in {gap.skill}; the role asks for {target}."
    if gap.score is None:
        return f"The role asks for {target} in {gap.skill}, which you reach."
    return f"You scored {scored} in {gap.skill} and reach the {target} that the role asks for."


def _levels(gap: SkillGap) -> str:
    scored, target = _percentages(gap)
    return f"{scored}, the role asks for {target}" if scored else f"not shown yet, the role asks for {target}"


def _percentages(gap: SkillGap) -> tuple[str, str]:
    """Score and target, the score "" where there is none: whole percent unless rounding hides which one is greater."""
    if gap.score is None:
        return "", _percent(gap.target, 0)
    digits = next((n for n in (0, 1) if _same_order(gap.score, gap.target, n)), 2)
    return _percent(gap.score, digits), _percent(gap.target, digits)


def _same_order(score: Decimal, target: Decimal, digits: int) -> bool:
    one, other = (round(value * 100, digits) for value in (score, target))
    return (one < other) == (score < target)


def _percent(value: Decimal, digits: int) -> str:
    return f"{value * 100:.{digits}f} %"


def _open(gaps: Sequence[SkillGap]) -> list[SkillGap]:
    return [gap for gap in gaps if gap.gap]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
