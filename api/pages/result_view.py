"""Collect what the result page shows: the published document with questions, credentials and feedback."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from api.dependencies import Services
from api.pages.graded_questions import Appeals, GradedQuestion, graded_questions
from api.pages.texts import gettext, mark, ngettext
from api.security.authorization import may_use
from api.security.tokens import Principal
from domain.grading.scores import DegradedReason
from persistence.queries.graded_items import GradedView
from persistence.queries.student_pages import CredentialDetail
from persistence.queries.views import AccessScope, FeedbackView, StatusView

MAX_FEEDBACK: Final = 100
_LINKED: Final = ("https://", "http://")

_SEARCH_LIMITED: Final = mark("The search for courses was limited. It will be repeated, and may find more.")
_FOR_PERSON: Final = mark("A reviewer will grade a written answer that the language model could not grade.")
_REGRADED: Final = mark("A simpler method has graded the written answers for now. They will be graded again.")
_SIMPLER: Final = mark("A simpler method than a language model has graded the written answers.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A passage of the catalogue that supports a recommendation. `link` is "" unless the source is a web address."""

    skill: str
    snippet: str
    similarity: float
    source: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """A recommended credential. `path` are the titles of credentials to take first."""

    item: Mapping[str, Any]
    detail: CredentialDetail | None
    path: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    feedback: FeedbackView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView:
    document: Mapping[str, Any]
    role: str
    recommended: tuple[Recommended, ...]
    questions: tuple[GradedQuestion, ...]
    appeals: Appeals
    provisional: tuple[str, ...]
    may_give_feedback: bool
    hours: int


async def result_view(
    view: GradedView, status: StatusView, principal: Principal, services: Services, scope: AccessScope
) -> ResultView:
    """Collect the result that the viewer may see: without the right answers, if the role withholds them."""
    graded = await graded_questions(view, status, principal, services, scope)
    role = await services.queries.role(status.role_id)
    recommended = await _recommended(graded.document, principal, services, scope)
    return ResultView(
        document=graded.document,
        role=role.name if role else gettext("Assessment"),
        recommended=recommended,
        questions=graded.questions,
        appeals=graded.appeals,
        provisional=_provisional(graded.document),
        may_give_feedback=may_use(principal, "give_feedback"),
        hours=round(sum(float(each.detail.hours) for each in recommended if each.detail)),
    )


async def _recommended(
    document: Mapping[str, Any], principal: Principal, services: Services, scope: AccessScope
) -> tuple[Recommended, ...]:
    items: Sequence[Mapping[str, Any]] = document["recommendation_items"]
    details = await services.pages.student.credentials([UUID(each["credential_id"]) for each in items])
    first = {each for detail in details.values() for each in detail.prerequisites}
    earlier = await services.pages.student.credentials(first)
    feedback = await services.queries.feedback(UUID(document["recommendation_id"]), scope, None, MAX_FEEDBACK)
    own = {each.credential_id: each for each in reversed(feedback) if each.submitted_by == principal.user_id}
    traces = {each["trace_id"]: _evidence(each) for each in document["traces"]}
    found = []
    for item in items:
        detail = details.get(UUID(item["credential_id"]))
        found.append(
            Recommended(
                item=item,
                detail=detail,
                path=tuple(earlier[each].title for each in detail.prerequisites if each in earlier) if detail else (),
                evidence=tuple(traces[each] for each in item["source_trace_ids"] if each in traces),
                feedback=own.get(UUID(item["credential_id"])),
            )
        )
    return tuple(found)


def _evidence(trace: Mapping[str, Any]) -> Evidence:
    source = str(trace["source_uri"])
    return Evidence(
        skill=trace["skill"],
        snippet=trace["snippet"],
        similarity=trace["similarity"],
        source=source,
        link=source if source.startswith(_LINKED) else "",
    )


def _provisional(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the reasons why the result may still change."""
    reasons = [gettext(_text_of(DegradedReason(each))) for each in document["degraded_reasons"]]
    waiting = sum(bool(score["needs_review"]) and not score["reviewed"] for score in document["scores"])
    if waiting:
        text = ngettext(
            "%(num)d written answer will be checked by a reviewer.",
            "%(num)d written answers will be checked by a reviewer.",
            waiting,
        )
        reasons.append(text % {"num": waiting})
    return tuple(dict.fromkeys(reasons))


def _text_of(reason: DegradedReason) -> str:
    if reason.of_search:
        return _SEARCH_LIMITED
    if reason.needs_person:
        return _FOR_PERSON
    return _REGRADED if reason.heals else _SIMPLER
