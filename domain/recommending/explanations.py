"""Explanations of recommendations for students. Every number in them was used for the ranking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.recommending.recommendations import RecommendedItem
from domain.recommending.roles import Credential, Role
from domain.recommending.skills import SkillGap
from domain.text import enumerated

NAMED_GAPS: Final = 3
"""The number of gaps that a summary names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A ranked credential with the data of its ranking.

    `gaps` are the gaps it covers, greatest need first. `similarity` is the best cosine of its text with one of them, or
    None if the search did not find it. `reactions` are the neighbours' ratings (1..5). `score` (0..1) is the blend.
    """

    credential: Credential
    gaps: tuple[SkillGap, ...]
    features: Mapping[str, float]
    score: float
    similarity: float | None
    reactions: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """The data behind a result: the number of earlier learners and of reactions used for the calibration.

    `untaught` are the gaps that no credential available to the learner covers. `left` are the other gaps that the
    recommended credentials do not cover. `reactions` is the number of learners' reactions, of any role, to credentials.
    """

    neighbours: int
    calibrated_on: int
    untaught: tuple[str, ...]
    left: tuple[str, ...]
    reactions: int = 0


def rationale(ranked: Ranked, opens: Sequence[str]) -> str:
    """Explain a recommendation by scores, targets and evidence. `opens`: titles of credentials that require it."""
    sentences = [_score(gap) for gap in ranked.gaps]
    aim = "covers" if any(gap.gap for gap in ranked.gaps) else "takes you further in"
    what = {0: "", 1: f" {aim} it"}.get(len(ranked.gaps), f" {aim} these skills")
    course = f"This {ranked.credential.level} course"
    match = "" if ranked.similarity is None else f" (catalogue match {ranked.similarity:.2f})"
    if opens:
        needing = f"is required for {enumerated(opens)}, so take it first"
        what = f"{what} and {needing}" if what else f" {needing}"
    sentences.append(f"{course}{what}{match}.")
    if ranked.reactions:
        mean = sum(ranked.reactions, Decimal(0)) / len(ranked.reactions)
        people = _counted(len(ranked.reactions), "learner")
        average = " on average" if len(ranked.reactions) > 1 else ""
        sentences.append(f"{people} with a profile like yours rated it {round(float(mean), 1):g} of 5{average}.")
    return " ".join(sentences)


def summary(role: Role, gaps: Sequence[SkillGap], items: Sequence[RecommendedItem], basis: Basis) -> str:
    """Summarize the result: the learner's scores, the recommended credentials, and the data behind them."""
    if not gaps:
        return f"The role {role.name} has no skill targets yet, so there is nothing to recommend for it."
    sentences = [_standing(role, gaps)]
    if not items:
        return f"{sentences[0]} The catalogue has no credential for this that you can start and do not already hold."
    aim = "to close these gaps" if _open(gaps) else "to go further"
    sentences.append(f"We recommend {_counted(len(items), 'credential')} {aim}. Start with {items[0].title}.")
    if basis.left:
        sentences.append(f"Not covered by this list yet: {enumerated(basis.left)}.")
    if basis.untaught:
        sentences.append(f"The catalogue has no course for {enumerated(basis.untaught)} that you can start now.")
    sentences += [_reactions(basis), _confidence(basis.calibrated_on)]
    return " ".join(sentences)


def _standing(role: Role, gaps: Sequence[SkillGap]) -> str:
    missing = _open(gaps)
    if not missing:
        return f"You reach all {_counted(len(gaps), 'skill target')} of the role {role.name}."
    named = "; ".join(f"{gap.skill} ({_levels(gap)})" for gap in missing[:NAMED_GAPS])
    of_all = f"{len(missing)} of {_counted(len(gaps), 'skill')} {'is' if len(missing) == 1 else 'are'} below the target"
    return f"{of_all} of the role {role.name}, the most important first: {named}."


def _reactions(basis: Basis) -> str:
    if not basis.neighbours and basis.reactions:
        ratings = _counted(basis.reactions, "rating")
        return f"No earlier learner of this role has given feedback yet, so {ratings} from other roles were used."
    if not basis.neighbours:
        return "No earlier learner of this role has given feedback on a credential yet, so the list does not use any."
    return f"Feedback from {_counted(basis.neighbours, 'earlier learner')} with a similar profile was also used."


def _confidence(calibrated_on: int) -> str:
    if not calibrated_on:
        return "The confidence of each credential is a rough estimate, because few learners have given feedback yet."
    return f"The confidence is the chance that you like the credential, estimated from {calibrated_on} reactions."


def _score(gap: SkillGap) -> str:
    scored, target = _percentages(gap)
    if gap.score is None and gap.gap:
        return f"No answer showed your level in {gap.skill} yet; the role asks for {target}."
    if gap.gap:
        return f"You scored {scored} in {gap.skill}; the role asks for {target}."
    if gap.score is None:
        return f"The role asks for {target} in {gap.skill}, which you have reached."
    return f"You scored {scored} in {gap.skill} and reach the {target} that the role asks for."


def _levels(gap: SkillGap) -> str:
    scored, target = _percentages(gap)
    return f"{scored}, the role asks for {target}" if scored else f"not shown yet, the role asks for {target}"


def _percentages(gap: SkillGap) -> tuple[str, str]:
    """Format score and target in whole percent, with more digits if rounding hides which is greater. No score: ""."""
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
