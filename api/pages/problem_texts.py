"""Translate the problems that the domain and the schemas describe in English, for the errors and notices of pages.

REST clients always get the English text. A problem that is missing here is shown in English on every page.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from api.pages.staff_texts import APPEAL_STATES, ROLES, STATES, named
from api.pages.texts import gettext, mark

_SCHEMAS: Final = {
    "Field required": mark("must not be empty"),
    "Input should be a finite number": mark("must be a number"),
    "Input should be a valid boolean": mark("must be true or false"),
    "Input should be a valid integer": mark("must be a whole number"),
    "Input should be a valid number": mark("must be a number"),
    "Input should be greater than or equal to %(low)s": mark("must be at least %(low)s"),
    "Input should be less than or equal to %(high)s": mark("must be at most %(high)s"),
    "Input should be %(choices)s": mark("must be one of %(choices)s"),
    "List should have at least 1 item after validation, not 0": mark("choose at least one"),
    "String should have at least 1 character": mark("must not be empty"),
    "String should have at least %(limit)s characters": mark("must have at least %(limit)s characters"),
    "String should have at most %(limit)s characters": mark("must have at most %(limit)s characters"),
    "String should match pattern '%(pattern)s'": mark("does not have the right form"),
}
"""Plain texts for messages of Pydantic."""
_STATED: Final = {
    "Assessment is %(status)s, answers are no longer accepted": mark(
        "Answers are no longer accepted. State of the assessment: %(status)s"
    ),
    "Assessment is %(status)s, there is no result to release": mark(
        "There is no result to release. State of the assessment: %(status)s"
    ),
    "Assessment is %(status)s, there is nothing to review yet": mark(
        "There is nothing to review yet. State of the assessment: %(status)s"
    ),
    "Assessment is %(status)s and there is nothing to heal": mark(
        "There is nothing to grade again. State of the assessment: %(status)s"
    ),
    "Assessment is %(status)s and cannot become %(to)s": mark(
        "This is not possible now. State of the assessment: %(status)s"
    ),
    "The appeal is %(state)s already": mark("The appeal is closed already. Its state: %(state)s"),
    "is only for students; this account's role is %(role)s": mark(
        "is only for students. Role of this account: %(role)s"
    ),
}
"""Messages with a stored value, whose name is shown."""
_PLAIN: Final = {
    "A request with this idempotency key is still in progress. Try again later": mark(
        "This form is already being handled. Try again in a moment"
    ),
    "List should have at most %(most)s items after validation, not %(given)s": mark(
        "must have at most %(most)s entries"
    ),
    "must have at least %(limit)s characters, and at most %(most)s bytes in UTF-8": mark(
        "must have %(limit)s to %(most)s characters; letters with accents and symbols count more than once"
    ),
    "Only students have a time accommodation": mark("Only students can have more time"),
    "The question's kind changed from %(old)s to %(new)s.": mark("The question's kind has changed."),
    "does not cover a question of kind %(kind)s": mark("does not cover the kind of this question"),
    "has %(columns)s columns, more than %(most)s": mark("has more than %(most)s columns"),
    "has more than %(limit)s characters in a row, which ends at line %(line)s": mark(
        "has a row that is too long; it ends at line %(line)s"
    ),
    "has more than %(limit)s lines": mark("has too many lines"),
    "has more than %(limit)s rows": mark("has too many rows"),
    "is required": mark("must not be empty"),
    "must be an RFC 3339 time with an offset": mark("must be a date such as 2026-01-31"),
}
"""Other texts for messages that are written for developers."""
_FIELDS: Final = (
    mark("has an unknown field"),
    mark("is not valid"),
    mark("is not a valid time"),
    mark("is not valid text"),
    mark("must be a UUID in lower-case canonical form"),
    mark("must be a whole number"),
    mark("must be true or false"),
    mark("must have at least one field to change"),
    mark("must have at most %(limit)s characters"),
    mark("must have at most %(limit)s characters before the @"),
    mark("must have at most %(limit)s characters in Unicode normal form C"),
    mark("must not be blank"),
    mark("must not have control characters or characters that change the direction of the text"),
    mark("must not list a scope twice"),
    mark("must not list a type twice"),
    mark("must not start or end with a space"),
    mark("must be 1 to %(limit)s printable characters"),
    mark("must be 1 to %(limit)s printable ASCII characters"),
)
_ANSWERS: Final = (
    mark("must be a number"),
    mark("must be a number between -1e15 and 1e15"),
    mark("must be at least %(low)s"),
    mark("must be at least %(low)s and at most %(high)s"),
    mark("must be at most %(high)s"),
    mark("must be a string"),
    mark("must be a string, one of the choices"),
    mark("must be one of the choices"),
    mark("must contain only choices that the question offers"),
    mark("must not contain NUL characters or lone surrogates"),
)
_PEOPLE: Final = (
    mark("The account is disabled. Enable it first"),
    mark("This installation sends no mails: SMTP_URL is not set"),
    mark("Platform admins create admins of organizations only"),
    mark("must be from 1 to %(most)s, with at most two decimals"),
    mark("Another request created or changed an account of this roster at the same time; send it again"),
    mark("Another cohort of the organization has this name"),
    mark("Another user of the organization has this external id"),
    mark("Platform admins cannot change roles"),
    mark("The account has no password here"),
    mark("The account was changed by another request; log in again"),
    mark("The e-mail address is taken"),
    mark("The last active admin cannot be disabled, erased or given another role"),
    mark("The role of a platform admin cannot be changed"),
    mark("belongs to an account that is being erased"),
    mark("belongs to another user of the organization"),
    mark("does not name a student of the organization"),
    mark("does not name an organization"),
    mark("is also in row %(row)s"),
    mark("is taken"),
)
_PASSWORDS: Final = (
    mark("must have at least %(limit)s characters that are not blank or invisible"),
    mark("must not be a few characters that repeat"),
    mark("must not be the current password"),
    mark("must not consist of the account's e-mail address"),
)
_WEBHOOKS: Final = (
    mark("An organization has at most %(limit)s webhook endpoints. Delete one that is no longer used"),
    mark("An organization has at most %(limit)s API keys. Revoke one that is no longer used"),
    mark("The webhook endpoint is disabled. Enable it first"),
    mark("The webhook endpoint of this delivery was deleted"),
    mark("This delivery is about an erased user"),
    mark("is longer than %(limit)s characters"),
    mark("is not a valid URL"),
    mark("must begin with https://"),
    mark("must have a host on the public Internet"),
    mark("must have a valid host name"),
    mark("must not be a URL of this service"),
    mark("must not be more than the days until an appeal is overdue"),
    mark("must not contain a fragment"),
    mark("must not contain a user name or password"),
    mark("must not contain spaces, control characters or backslashes"),
    mark("must not have a port other than 443"),
    mark("must percent-encode non-ASCII characters after the host"),
)
_FILES: Final = (
    mark("cannot be read at line %(line)s: %(problem)s"),
    mark("column %(place)s (%(heading)s) is not one of %(names)s"),
    mark("column %(place)s repeats %(name)s"),
    mark("has %(cells)s cells, not %(columns)s"),
    mark("contains a NUL character; UTF-16 needs a byte order mark"),
    mark("has no column %(name)s"),
    mark("has no rows"),
    mark("has the byte order mark of %(codec)s, but invalid characters"),
    mark("is empty"),
    mark("is not UTF-8, UTF-16 with a byte order mark, or Windows-1252"),
    mark("is also the key of row %(row)s"),
)
_CATALOGUE: Final = (
    mark("%(key)s is neither in the catalogue nor in this import"),
    mark("belongs to the content files; an import cannot change it"),
    mark("form a cycle: %(keys)s"),
    mark("has an unknown field; the known fields are %(names)s"),
    mark("must be a finite number of at most %(digits)s digits"),
    mark("must be above 0 and at most %(high)s"),
    mark("must be an object"),
    mark("must have 1 to %(most)s rows, not %(given)s"),
    mark("must have at least %(least)s"),
    mark("must have at most %(places)s decimal places"),
    mark("must not be empty"),
    mark("must not contain a user name or a password"),
    mark("must not contain invisible characters or backslashes"),
    mark("must not name itself"),
    mark("must not repeat"),
    mark("No role targets the skill %(skill)s"),
    mark("Nothing was withdrawn: the catalogue has no credential with this key"),
    mark("The prerequisite %(key)s is withdrawn"),
)
"""Problems and warnings of the rows of a catalogue import."""
_REVIEWS: Final = (
    mark("Assessment expired without an answer and cannot be run again"),
    mark("There is no result yet, so there is nothing to appeal"),
    mark("This essay does not wait for a review any more"),
    mark("The essay has no levels to confirm, because its grader abstained"),
    mark("The essay was not answered, there is nothing to review"),
    mark("The result has revision %(revision)s now. Read it before you decide"),
    mark("The student has appealed this grade. Answer the appeal instead"),
    mark("You have no claim on this essay. Claim it first"),
    mark("Another reviewer has claimed this essay"),
    mark("Assessment has expired, answers are no longer accepted"),
    mark("Grades can be appealed within %(days)s days of the result"),
    mark("The essay was not answered, or its answer was deleted, so it cannot be appealed"),
    mark("The form was sent from another site"),
    mark("This essay does not wait for a review"),
    mark("This question has an open appeal already"),
    mark("You can appeal at most %(most)s grades of a role, and you have done so"),
    mark("You reviewed this essay last. Another advisor or admin must answer its appeal"),
    mark("Your role may not open this page"),
)
_RESCORES: Final = (
    mark("An internal error stopped the computation. The failed run in Temporal names the cause."),
    mark("The answer was deleted because its retention time ended."),
    mark("The published result has no score for this question."),
    mark("The question changed while the essay was being graded."),
    mark("The question was withdrawn."),
    mark("The reviewer's levels do not fit the current rubric."),
    mark("The stored answer does not fit the current question: %(problem)s."),
    mark("The stored result is not valid. The worker's log names the assessment."),
    mark("is not a question"),
    mark("is not a role"),
)
_GRADING: Final = (
    mark("No language model is set up, so the local grader graded the essays."),
    mark("The language model did not respond, so the local grader graded the essays."),
    mark("The language model's provider rejected the API key: set a valid key."),
    mark("The account at the language model's provider has no credit or quota left."),
    mark("The provider does not know the configured model: check its name."),
    mark("The language model's provider rejected the request: check OPENAI_MODEL and the options set with it."),
    mark("The language model's replies did not match the rubric or the essay."),
    mark("The language model's provider refused the essay because of its content; a reviewer must grade it."),
    mark("The essay is too long for the language model; a reviewer must grade it."),
    mark("The organization's budget for today is spent. Grading continues tomorrow."),
    mark("There were too many attempts at this role on one day, so the local grader graded the essays."),
    mark("An essay could not be graded automatically. A reviewer will grade it."),
)
"""Why a re-score stopped early, or could not grade an essay."""
_MESSAGES: Final = (
    *(*_FIELDS, *_ANSWERS, *_PEOPLE, *_PASSWORDS, *_WEBHOOKS, *_FILES, *_CATALOGUE),
    *(*_REVIEWS, *_RESCORES, *_GRADING),
)
_KNOWN: Final = _SCHEMAS | _STATED | _PLAIN | {each: each for each in _MESSAGES}
_NAMES: Final = {"status": STATES, "state": APPEAL_STATES, "role": ROLES}
"""The names of stored values, by placeholder."""
_PLACEHOLDER: Final = re.compile(r"%\\\((\w+)\\\)s")


def translated(problem: str) -> str:
    """Return the problem in the request's language; the given text if its message is unknown."""
    for pattern, message in _patterns().items():
        if found := pattern.fullmatch(problem):
            values = {name: _shown(name, value) for name, value in found.groupdict().items()}
            return gettext(message) % values if values else gettext(message)
    return problem


def _shown(placeholder: str, value: str) -> str:
    if placeholder in _NAMES:
        return named(_NAMES[placeholder], value)
    return translated(value) if placeholder == "problem" else value


@cache
def _patterns() -> Mapping[re.Pattern[str], str]:
    """Return each message by the pattern that matches it. The one with the longest fixed text comes first."""
    patterns = {_PLACEHOLDER.sub(r"(?P<\1>.+?)", re.escape(known)): message for known, message in _KNOWN.items()}
    return {re.compile(each, re.DOTALL): patterns[each] for each in sorted(patterns, key=_fixed, reverse=True)}


def _fixed(pattern: str) -> int:
    return len(re.sub(r"\(\?P<\w+>\.\+\?\)", "", pattern))
