"""The links and pictures of pages and notebooks lead to what is there; no network is asked."""

import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from .support.notebooks import NOTEBOOKS
from .support.processes import ROOT

NAMES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"]
NAMES += ["docs/models.md", "docs/parameters.md", "tests/benchmarks/README.md"]
PAGES = [ROOT / name for name in NAMES if (ROOT / name).exists()] + NOTEBOOKS
FENCED = re.compile(r"^(```+|~~~+).*?^\1", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(
    r"""\]\(<?([^\s<>)]+)           # [text](target "title"), ![text](target)
      | ^\[[^\]]+\]:\s*(\S+)        # [name]: target
      | \b(?:href|src)="([^"]+)"
    """,
    re.MULTILINE | re.VERBOSE,
)
ELSEWHERE = re.compile(r"[a-z]+:|//")  # https:, mailto:


def cells(path: Path) -> list[tuple[str, dict]]:
    """List the Markdown of a page, or of a notebook's cells, with what is attached to it."""
    if path.suffix != ".ipynb":
        return [(path.read_text(encoding="utf-8"), {})]
    found = nbformat.read(path, as_version=4).cells
    return [(c.source, c.get("attachments", {})) for c in found if c.cell_type == "markdown"]


def links(markdown: str) -> list[str]:
    """List where links and pictures lead, in Markdown or in its HTML; code holds none."""
    text = INLINE.sub("", FENCED.sub("", markdown))
    return [unquote("".join(target)) for target in LINK.findall(text)]


def anchors(path: Path) -> set[str]:
    """List the headings as GitHub names them: lower case, no punctuation, `-` for a space.

    The second of the same name ends in `-1`, and so on.
    """
    text = FENCED.sub("", "\n".join(text for text, _ in cells(path)))
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} +(.+?)[ #]*$", text, re.MULTILINE):
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.append(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    again = [found[:place].count(name) for place, name in enumerate(found)]
    return {f"{name}-{n}" if n else name for name, n in zip(found, again, strict=True)}


def broken(path: Path) -> list[str]:
    """List the links of a page or a notebook that lead nowhere."""
    found = ((link, attached) for text, attached in cells(path) for link in links(text))
    return [link for link, attached in found if not leads(link, path, attached)]


def leads(link: str, path: Path, attached: dict) -> bool:
    """Say whether a link leads to a file, a heading or an attachment, or to the network."""
    if link.startswith("attachment:"):
        return link.removeprefix("attachment:") in attached
    if ELSEWHERE.match(link):
        return True
    name, _, anchor = link.partition("#")
    target = path.parent / name if name else path
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path):
    assert broken(path) == []


PAGE = """# A page: with `code`, and a [link](page.md)
## Again
## Again
```sh
# no heading, [no link](nowhere)
```
"""


@pytest.mark.parametrize(
    "link",
    [
        "[text](other%20page.md)",
        '[text](<other%20page.md> "title")',
        "[name]: other%20page.md",
        "![picture](other%20page.md)",
        "[![badge](https://example.org/badge.svg)](other%20page.md)",
        '<img alt="" src="other%20page.md">',
        "[text](#a-page-with-code-and-a-link)",
        "[text](page.md#again-1)",
        "[text](folder/)",
        "[text](https://example.org/nowhere)",
        "[text](mailto:nobody@example.org)",
    ],
)
def test_a_good_link_is_found_and_left_alone(tmp_path, link):
    (tmp_path / "other page.md").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "page.md").write_text(f"{PAGE}\n{link}\n")
    assert links(link)
    assert broken(tmp_path / "page.md") == []


@pytest.mark.parametrize(
    "link",
    [
        "[text](nowhere.md)",
        "[text](nowhere.md#again)",
        '[text](nowhere.md "title")',
        "[name]: nowhere.md",
        "![picture](nowhere.png)",
        "[![badge](nowhere.svg)](https://example.org)",
        '<a href="nowhere.md">text</a>',
        "[text](#nowhere)",
        "[text](page.md#again-2)",
        "[text](#no-heading-no-linknowhere)",
        "![picture](attachment:nowhere.png)",
        "`code` [text](nowhere.md) `code`",
    ],
)
def test_a_broken_link_is_found(tmp_path, link):
    (tmp_path / "page.md").write_text(f"{PAGE}\n{link}\n")
    assert len(broken(tmp_path / "page.md")) == 1


def test_code_holds_no_links():
    text = "`[a](b)`, ``a ` [a](b)``\n```\n[a](b)\n```\n[c](d)"
    assert links(text) == ["d"]


def test_a_notebooks_links_and_attachments_are_looked_at(tmp_path):
    cell = nbformat.v4.new_markdown_cell("![one](attachment:one.png) ![two](attachment:two.png)")
    cell["attachments"] = {"one.png": {"image/png": ""}}
    text = nbformat.v4.new_markdown_cell("## Here\n[back](02.ipynb), [here](01.ipynb#here)")
    code = nbformat.v4.new_code_cell("'[text](nowhere)'")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell, text, code]), tmp_path / "01.ipynb")
    assert broken(tmp_path / "01.ipynb") == ["attachment:two.png", "02.ipynb"]
