"""The advisor's home, the heat map of skills, and the page of a student."""

from typing import Any

from tests.api.conftest import Person
from tests.pages.advisors import Staff
from tests.pages.test_appeal_pages import appealed


async def cohort(staff: Staff, name: str, *students: Person) -> str:
    admin = await staff.api.person("admin", of=staff.organization_id)
    made = await staff.api.client.post("/api/v1/cohorts", json={"name": name}, headers=admin.headers)
    cohort_id: str = made.json()["cohort_id"]
    members: Any = {"user_ids": [str(each.id) for each in students]}
    await staff.api.client.post(f"/api/v1/cohorts/{cohort_id}/members", json=members, headers=admin.headers)
    return cohort_id


async def test_an_advisor_starts_on_the_overview(staff: Staff) -> None:
    assert (await staff.open("/")).headers["Location"] == "/overview"
    page = await staff.page("/overview")
    assert ("Nothing waits for you" in page, "No result has been published yet" in page) == (True, True)


async def test_the_overview_counts_what_waits(staff: Staff) -> None:
    await staff.waiting()
    await appealed(staff)
    await staff.set(release="all_held", audit_share=0.0)
    await staff.graded()

    page = await staff.page("/overview")

    for label in ("Reviews: Flagged", "Reviews: Appeal", "Open appeals", "Held results"):
        assert label in page
    assert 'href="/assessments?released=false"><span class="tile__number">1</span>' in page
    assert 'href="/reviews?reason=flagged"><span class="tile__number">2</span>' in page


async def test_the_heat_map_counts_each_student_once_per_cohort(staff: Staff) -> None:
    first, second = await staff.student(name="Ada Example"), await staff.student(name="Grace Other")
    for student in (first, second):
        await staff.graded(student)
    cohort_id = await cohort(staff, "Spring", first, second)
    await cohort(staff, "Evening", first)

    found = await staff.api.services.pages.advisor.cohort_skills(staff.organization_id)
    overview = await staff.page("/overview")
    students = await staff.page(f"/cohorts/{cohort_id}/skills")

    assert {(each.cohort, each.students) for each in found} == {(None, 2), ("Spring", 2), ("Evening", 1)}
    assert f'href="/cohorts/{cohort_id}/skills">Spring</a>' in overview
    assert ("Ada Example" in students, "Grace Other" in students) == (True, True)


async def test_the_heat_map_of_a_role_has_no_result_of_other_roles(staff: Staff) -> None:
    student = await staff.student(name="Ada Example")
    role_id = (await staff.api.get(student, f"/assessments/{(await staff.graded(student))['assessment_id']}")).json()[
        "role_id"
    ]
    path = f"/cohorts/{await cohort(staff, 'Spring', student)}/skills"
    other = next(each for each in await staff.api.services.queries.roles() if str(each.id) != role_id)

    pages = [await staff.page(f"{path}?role_id={each}") for each in (role_id, other.id, "")]

    assert ["Ada Example" in page for page in pages] == [True, False, True]
    assert "has a published result of this role" in pages[1]


async def test_the_heat_map_has_no_held_result(staff: Staff) -> None:
    await staff.set(release="all_held", audit_share=0.0)
    await staff.graded()

    assert await staff.api.services.pages.advisor.cohort_skills(staff.organization_id) == []


async def test_the_page_of_a_student_shows_skills_assessments_and_feedback(staff: Staff) -> None:
    student = await staff.student(name="Ada Example")
    started = await staff.graded(student)
    result = await staff.result_of(started)
    await staff.rate_courses(started, comments="This fits.")

    page = await staff.page(f"/students/{student.id}")

    assert result["skills"]
    for shown in ("Ada Example", result["skills"][0]["skill"], f"/assessments/{started['assessment_id']}"):
        assert shown in page
    assert "This fits." in page


async def test_students_cohorts_and_staff_of_others_have_no_page(staff: Staff) -> None:
    student = await staff.student()
    cohort_id = await cohort(staff, "Spring", student)
    elsewhere = await Staff.of(staff.api, staff.open_browser, staff.password_hash)

    statuses = [
        (await elsewhere.open(path)).status_code
        for path in (f"/students/{student.id}", f"/cohorts/{cohort_id}/skills", f"/students/{elsewhere.advisor.id}")
    ]

    assert statuses == [404, 404, 404]
