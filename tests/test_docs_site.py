"""The documentation hangs together: links and anchors lead somewhere, and no page is left out."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md")])
SITE = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """Return a page without its code, in which brackets mean something else."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "`code`", text)


def links_of(page: Path) -> list[str]:
    """Return where the links and pictures of a page lead, those to other sites left out."""
    prose = prose_of(page)
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)", prose)
    targets += re.findall(r"^\[[^\]]+\]:\s*(\S+)", prose, re.MULTILINE)
    targets += re.findall(r"""(?:href|src)=["']([^"']+)""", prose)
    return [target for target in targets if not re.match(r"\w+:", target)]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings that GitHub and the site both make."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    github, site = set(), set()
    for title in re.findall(r"^#{1,6}\s+(.+?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", title)
        letters = re.sub(r"[^\w\s-]", "", plain).strip().lower()
        for known, slug in (
            (github, letters.replace(" ", "-")),
            (site, re.sub(r"[-\s]+", "-", letters)),
        ):
            again = sum(
                each == slug or re.fullmatch(rf"{slug}[-_]\d+", each) is not None for each in known
            )
            known.add(f"{slug}-{again}" if again else slug)
    return github & site


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_anchors_lead_somewhere(page: Path) -> None:
    for link in links_of(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: there is no such file"
        assert target.is_relative_to(ROOT), f"{link} leaves the project"
        if anchor:
            assert anchor in anchors_of(target), f"{link}: {target.name} has no such heading"


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=lambda page: page.stem)
def test_pages_of_the_site_link_to_pages_of_the_site(page: Path) -> None:
    for link in links_of(page):
        name = link.partition("#")[0]
        target = (page.parent / name).resolve() if name else page
        assert target.is_relative_to(DOCS), f"{link}: the site has only what is in docs/"
        assert target.is_file(), f"{link} is a folder, which the site has no page of"


def test_the_checks_see_what_is_broken(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `x`\n\n## Twice\n\n## Twice\n\n[a](b.md#c) ![p](<p.svg>) [e](https://e.org)\n"
        "<img src='q.svg'> `[no](link)`\n\n[ref]: other.md\n\n"
        "```text\n[not](this)\n# nor this\n```\n"
    )
    assert links_of(page) == ["b.md#c", "p.svg", "other.md", "q.svg"]
    assert anchors_of(page) == {"one-x", "twice", "twice-1"}


def test_every_page_is_in_the_navigation_once() -> None:
    listed = re.findall(r"[\w./-]+\.md", SITE.partition("\nnav:")[2])
    pages = [str(page.relative_to(DOCS)) for page in DOCS.glob("**/*.md")]
    assert sorted(listed) == sorted(pages), "docs/ and the nav in mkdocs.yml must list the same"


def test_the_site_fetches_nothing_from_elsewhere() -> None:
    assert "font: false" in SITE
    assert not re.search(r"https?:", SITE)


@pytest.mark.parametrize(
    "name", re.findall(r"^::: (\S+)$", (DOCS / "reference.md").read_text(), re.MULTILINE)
)
def test_every_name_of_the_reference_is_there_and_says_what_it_is(name: str) -> None:
    try:
        found = importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        found = getattr(importlib.import_module(module), attribute)
    assert found.__doc__


def test_the_reference_has_every_public_name() -> None:
    import lookalike

    reference = (DOCS / "reference.md").read_text()
    named = set(re.findall(r"^::: \S+?\.(\w+)$", reference, re.MULTILINE))
    among_others = {"LookalikeError"}  # all errors have one entry
    public = set(lookalike.__all__) - {"__version__"} - among_others
    assert {getattr(lookalike, name).__name__ for name in public} <= named
