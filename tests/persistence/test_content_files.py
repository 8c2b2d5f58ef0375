"""Content files are parsed strictly, and all problems are reported at once by file, entry and field."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.assessments.attempts import AttemptPolicy, Reveal
from domain.errors import InvalidInput
from persistence.content.files import read_content
from tests.support.databases import CONTENT

ROLES = """
roles:
  - key: weaver
    name: Weaver
    description: Makes cloth.
    prerequisites: []
    skills:
      - {skill: Weaving, description: Weave cloth., target: "0.7", importance: "1"}
"""
QUESTIONS = """
role: weaver
questions:
  - key: w-warp
    kind: single
    prompt: Which threads run lengthwise?
    weight: "1"
    skills: [Weaving]
    choices: [warp, weft]
    rubric: {points: "1", correct: warp, explanation: The weft runs across.}
  - key: w-story
    kind: text
    prompt: Tell of a cloth.
    weight: "2.5"
    answer: {min_words: "5", max_words: 90}
    rubric:
      criteria:
        - key: story
          name: Story
          description: There is one.
          skills: [Weaving]
          levels:
            - {name: None, points: "0", descriptor: No story.}
            - {name: Yes, points: "1.5", descriptor: A story.}
      anchors:
        - {text: Once there was a cloth., levels: {story: Yes}}
"""
CREDENTIALS = """
credentials:
  - key: weaving-one
    title: Weaving
    description: Weave a scarf.
    skills: [Weaving]
    level: foundation
    hours: 6
    provider: Demo Academy
    source_uri: https://catalog.example.org/credentials/weaving-one
    prerequisites: []
  - key: weaving-two
    title: More weaving
    description: Weave a coat.
    skills: [Weaving]
    level: advanced
    hours: "7.5"
    provider: Demo Academy
    source_uri: https://catalog.example.org/credentials/weaving-two
    prerequisites: [weaving-one]
"""

FILES = {"roles.yaml": ROLES, "questions/weaver.yaml": QUESTIONS, "credentials.yaml": CREDENTIALS}

Edit = Callable[..., Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """Write the files above, one of them with a replaced text."""

    def write(file: str = "", old: str = "", new: str = "") -> Path:
        for name, content in FILES.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            assert name != file or old in content
            (tmp_path / name).write_text(content.replace(old, new) if name == file else content, encoding="utf-8")
        return tmp_path

    return write


def test_small_content_is_read(edited: Edit) -> None:
    content = read_content(edited())

    assert [role.key for role in content.roles] == ["weaver"]
    assert [(found.key, found.position, found.question.kind) for found in content.questions] == [
        ("w-warp", 1, "single"),
        ("w-story", 2, "text"),
    ]
    assert content.credentials[1].prerequisites == (content.credentials[0].id,)


def test_a_role_has_no_limit_of_attempts_unless_the_file_sets_one(edited: Edit) -> None:
    settings = "prerequisites: []\n    reveal: after_last_attempt\n    attempts: 3\n    cool_down_hours: 24"

    default = read_content(edited()).roles[0].attempt_policy
    limited = read_content(edited("roles.yaml", "prerequisites: []", settings)).roles[0].attempt_policy

    assert default == AttemptPolicy(reveal=Reveal.ALWAYS, attempts=None, cool_down_hours=0)
    assert limited == AttemptPolicy(reveal=Reveal.AFTER_LAST_ATTEMPT, attempts=3, cool_down_hours=24)


def test_scalars_that_yaml_would_convert_stay_text(edited: Edit) -> None:
    question = read_content(edited()).questions[1].question

    assert [level.name for level in question.rubric.criteria[0].levels] == ["None", "Yes"]  # type: ignore[union-attr]


def test_skills_that_look_alike_are_one_skill(edited: Edit) -> None:
    content = read_content(edited("credentials.yaml", "skills: [Weaving]", 'skills: ["Weav\u200bing\u00a0"]'))

    assert [credential.skills for credential in content.credentials] == [("Weaving",), ("Weaving",)]


def test_the_projects_own_content_is_valid() -> None:
    content = read_content(CONTENT)

    assert len(content.roles) >= 5
    assert len(content.credentials) >= 150
    for role in content.roles:
        kinds = [found.question.kind for found in content.questions if found.role == role]
        assert len(kinds) >= 12
        assert set(kinds) == {"single", "multiple", "number", "scale", "text"}
        assert kinds.count("text") >= 2  # type: ignore[arg-type]


def test_versions_follow_from_the_content_alone(edited: Edit) -> None:
    before = read_content(edited())
    after = read_content(edited("questions/weaver.yaml", "lengthwise", "along the cloth"))

    changed = [
        old.question.version != new.question.version for old, new in zip(before.questions, after.questions, strict=True)
    ]
    assert changed == [True, False]
    assert [found.question.id for found in before.questions] == [found.question.id for found in after.questions]


WRONG: list[tuple[str, str, str, str, str]] = [
    ("roles.yaml", "target:", "aim:", "weaver: skills.0.target", "Field required"),
    ("roles.yaml", '"0.7"', '"1.7"', "weaver: target", "must be between 0 and 1"),
    ("roles.yaml", "prerequisites: []", "prerequisites: [dyer]", "weaver: prerequisites", "dyer does not exist"),
    ("roles.yaml", "key: weaver", "key: weaver\n    reveal: later", "weaver: reveal", "Input should be 'always'"),
    ("roles.yaml", "key: weaver", "key: weaver\n    attempts: some", "weaver: attempts", "valid integer"),
    ("roles.yaml", "key: weaver", "key: weaver\n    attempts: 0", "weaver: attempts", "must be between 1 and 100"),
    (
        "roles.yaml",
        "key: weaver",
        "key: weaver\n    cool_down_hours: -1",
        "weaver: cool_down_hours",
        "must be between 0",
    ),
    (
        "roles.yaml",
        "key: weaver",
        "key: weaver\n    reveal: after_last_attempt",
        "weaver: attempts",
        "must be set, because reveal is after_last_attempt",
    ),
    ("questions/weaver.yaml", "role: weaver", "role: dyer", "-: role", "must be the key of a role"),
    ("questions/weaver.yaml", "w-story", "w-warp", "w-warp: key", "is used more than once"),
    ("questions/weaver.yaml", "correct: warp", "correct: loom", "w-warp: rubric.correct", "must be one of the choices"),
    ("questions/weaver.yaml", '{points: "1"', '{points: "much"', "w-warp: points", "Input should be a valid decimal"),
    (
        "questions/weaver.yaml",
        "    skills: [Weaving]\n    choices",
        "    skills: [Dyeing]\n    choices",
        "w-warp: skills",
        "'Dyeing' is not a known skill",
    ),
    (
        "questions/weaver.yaml",
        "          skills: [Weaving]",
        "          skills: [Dyeing]",
        "w-story: rubric.criteria.story.skills",
        "'Dyeing' is not a known skill",
    ),
    (
        "questions/weaver.yaml",
        "levels: {story: Yes}",
        "levels: {story: Maybe}",
        "w-story: anchors.0.levels.story",
        "must be a level of the criterion",
    ),
    ("questions/weaver.yaml", "    kind: text", "    kind: oral", "w-story: kind", "Input should be 'single'"),
    (
        "credentials.yaml",
        "[weaving-one]",
        "[weaving-two]",
        "weaving-two: prerequisites",
        "form a cycle: weaving-two needs weaving-two",
    ),
    (
        "credentials.yaml",
        "level: foundation",
        "level: advanced\n    colour: red",
        "weaving-one: colour",
        "Extra inputs are not permitted",
    ),
    ("credentials.yaml", "hours: 6", "hours: 0", "weaving-one: hours", "must be above 0"),
    (
        "credentials.yaml",
        "https://catalog.example.org/credentials/weaving-one",
        "'https://[bad/x'",
        "weaving-one: source_uri",
        "is not a valid URL",
    ),
    (
        "credentials.yaml",
        "skills: [Weaving]",
        "skills: [Dyeing]",
        "weaving-one: skills",
        "'Dyeing' is not a known skill",
    ),
    (
        "credentials.yaml",
        "prerequisites: []",
        "prerequisites: [weaving-two]",
        "weaving-one: prerequisites",
        "form a cycle",
    ),
    (
        "credentials.yaml",
        "level: advanced",
        "level: foundation\n    level: advanced",
        "-: -",
        "the key 'level' occurs twice",
    ),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong[0]}-{wrong[2]}")
def test_problems_are_named(edited: Edit, wrong: tuple[str, str, str, str, str]) -> None:
    file, old, new, field, problem = wrong

    with pytest.raises(InvalidInput) as refused:
        read_content(edited(file, old, new))

    found = [(item.field, item.problem) for item in refused.value.problems]
    assert any(place == f"{file}: {field}" and problem in text for place, text in found), found


def test_a_prerequisite_is_not_of_a_higher_level(edited: Edit) -> None:
    directory = edited("credentials.yaml", "level: foundation", "level: intermediate")
    file = directory / "credentials.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("level: advanced", "level: foundation"), encoding="utf-8")

    with pytest.raises(InvalidInput, match="weaving-two: prerequisites: weaving-one is of a higher level"):
        read_content(directory)


def test_all_problems_come_at_once(edited: Edit) -> None:
    directory = edited("credentials.yaml", "hours: 6", "hours: lots")
    questions = directory / "questions" / "weaver.yaml"
    questions.write_text(QUESTIONS.replace("correct: warp", "correct: loom"), encoding="utf-8")

    with pytest.raises(InvalidInput) as refused:
        read_content(directory)

    assert len(refused.value.problems) == 2
    assert all(problem.field in refused.value.message for problem in refused.value.problems)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("roles: [" + "&a [x], *a", "anchors and aliases are not allowed"),
        ("roles: " + "[" * 40 + "]" * 40, "nested more than 16 deep"),
        ("roles: [unclosed", "line 2: did not find"),
        ("roles: []\n#" + "x" * 1_048_576, "must not exceed"),
        ("? [a, b]\n: c", "a key must be a scalar"),
        ("[]", "must have exactly these fields: roles"),
        ("roles: {}", "must be a list"),
        ("roles: [weaver]", "Input should be a valid dictionary"),
        ("a: 1\n---\nb: 2", "line 2"),
    ],
    ids=["alias", "deep", "broken", "huge", "key", "list", "mapping", "scalar", "two documents"],
)
def test_files_of_another_form_are_refused(edited: Edit, content: str, problem: str) -> None:
    directory = edited()
    (directory / "roles.yaml").write_text(content, encoding="utf-8")

    with pytest.raises(InvalidInput, match=problem):
        read_content(directory)


def test_nested_aliases_are_refused_before_expansion(edited: Edit) -> None:
    directory = edited()
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    (directory / "roles.yaml").write_text("\n".join(["l0: &l0 [boom]", *levels]), encoding="utf-8")

    with pytest.raises(InvalidInput, match="anchors and aliases"):
        read_content(directory)


def test_a_missing_file_is_named(edited: Edit) -> None:
    directory = edited()
    shutil.rmtree(directory / "questions")
    (directory / "credentials.yaml").unlink()

    with pytest.raises(InvalidInput, match=r"credentials\.yaml: -: -: No such file"):
        read_content(directory)
