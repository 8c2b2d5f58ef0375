"""Every page of advisors and admins: hostile texts are shown as text, and no page is heavy."""

from html.parser import HTMLParser
from typing import Final

from tests.pages.staff_pages import HOSTILE, NAME, StaffPages, staff_pages  # noqa: F401  # fixture
from tests.pages.test_weight import MAX_BYTES, weight

EVALUATED: Final = str(71911 * 7)
"""What the corpus's template syntax would become."""
URLS: Final = frozenset({"href", "src", "action", "formaction", "hx-get", "hx-post"})
WITHOUT_FOREIGN_TEXT: Final = frozenset(
    {
        "/admin/people/new",
        "/admin/people/import",
        "/admin/settings",
        "/admin/webhooks/new",
        "/admin/cost",
        "/admin/audit",
        "/platform/organizations",
        "/platform/organizations/new",
        "/platform/catalog",
        "/account/language",
        "/account/password",
        "/reviews",
    }
)
"""Pages that need not show a text of the corpus."""


class Page(HTMLParser):
    """The elements of a page that a hostile text may have made, and the page's text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.foreign: list[str] = []
        self.text = ""
        self.one_step: list[str] = []
        self.details: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "details":
            self.details.append(values.get("class", ""))
        if "button--danger" in values.get("class", "") and "second-step" not in self.details:
            self.one_step.append(self.get_starttag_text() or tag)
        scripts = [name for name in values if name.startswith("on") or name == "autofocus"]
        links = [name for name in URLS & values.keys() if values[name].lower().strip().startswith("javascript:")]
        is_own = values.get("src", "/static/").startswith("/static/") and (tag != "script" or "src" in values)
        if scripts or links or not is_own or tag in {"base", "embed", "iframe", "object", "style"}:
            self.foreign.append(self.get_starttag_text() or tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "details":
            self.details.pop()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.foreign.append(data)


async def test_hostile_texts_make_no_element_and_no_attribute(staff_pages: StaffPages) -> None:  # noqa: F811
    texts = await staff_pages.texts()

    pages = {path: Page(html) for path, html in texts.items()}

    assert {path: page.foreign for path, page in pages.items() if page.foreign} == {}
    assert [path for path, html in texts.items() if EVALUATED in html] == []
    fixed = {path for path, page in pages.items() if NAME not in page.text and HOSTILE[:25] not in page.text}
    parts = {f"/rescores/{staff_pages.rescore_id}/progress", f"/reviews/decided/{staff_pages.assessment_id}"}
    assert fixed <= WITHOUT_FOREIGN_TEXT | parts


async def test_nothing_is_deleted_by_one_click(staff_pages: StaffPages) -> None:  # noqa: F811
    texts = await staff_pages.texts()

    pages = {path: Page(html) for path, html in texts.items() if not path.endswith("/erase")}  # asks for the name

    assert {path: page.one_step for path, page in pages.items() if page.one_step} == {}


async def test_every_page_is_light(staff_pages: StaffPages) -> None:  # noqa: F811
    weights = {path: weight(html) for path, html in (await staff_pages.texts()).items()}

    assert {path: size for path, size in weights.items() if size >= MAX_BYTES} == {}
