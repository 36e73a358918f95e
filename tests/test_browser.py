"""The search panel in a real JupyterLab, driven in a real Chromium as a person would."""

import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from test_notebooks import environment

from helpers import draw_demo_images, list_images
from helpers.gallery import tile_html

REQUIRED = os.environ.get("REQUIRE_BROWSER")  # as in CI: then nothing is skipped
if not REQUIRED:
    pytest.importorskip("playwright")
import browser  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
EVIL = "<img src=x onerror=document.title='broken'>.jpg"
pytestmark = pytest.mark.skipif(
    not REQUIRED and not browser.find_chromium(),
    reason="no Chromium here: apt install chromium, or playwright install chromium",
)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """The demo's data folder, with one photo whose name is HTML."""
    folder = tmp_path_factory.mktemp("data")
    images = folder / "demo" / "images"
    draw_demo_images(images)
    if os.name == "posix":
        Image.effect_mandelbrot((200, 200), (-2, -1.5, 1, 1.5), 50).save(images / EVIL)
    return images


@pytest.fixture(scope="module")
def panel(images, tmp_path_factory):
    """The panel of 03_search, on a page where all cells have run."""
    env = environment(images.parent.parent, IMAGE_SEARCH_PROFILE="demo")
    with (
        browser.jupyter_lab(tmp_path_factory.mktemp("lab"), env) as address,
        browser.run_notebook(address, "03_search") as page,
    ):
        errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
        assert errors.count() == 0, errors.all_inner_texts()
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        yield browser.PanelPage(page)


@pytest.fixture(autouse=True)
def screenshot(panel, request):
    """Start from a plain search; keep a picture of the end of each test."""
    if panel.root.get_by_role("button").locator(".fa-times").is_visible():
        panel.root.get_by_role("button").locator(".fa-times").click()
    panel.enter("a red star")
    panel.wait_for("a red star: 10 images")
    yield
    (ROOT / "runs").mkdir(exist_ok=True)
    panel.query.scroll_into_view_if_needed()
    name = request.node.name.removeprefix("test_")
    panel.page.screenshot(path=ROOT / "runs" / f"panel-{name}.png")


def shown(path: Path) -> str:
    """Give the data address of an image's thumbnail."""
    return re.search(r"src='([^']+)'", tile_html(path, ""))[1]


def test_enter_shows_the_right_pictures(panel, images):
    panel.enter("two blue birds")
    panel.wait_for("two blue birds: 10 images")
    assert panel.labels() == ["two blue birds"] * 10
    assert panel.scores() == sorted(panel.scores(), reverse=True)
    drawn = {shown(path) for path in list_images(images / "two blue birds")}
    assert {panel.picture(place) for place in range(10)} == drawn


def test_more_like_this_finds_the_picture_itself_first(panel):
    chosen = panel.picture(3)
    panel.tiles.nth(3).get_by_role("button", name="more like this").click()
    panel.wait_for("red-star-")
    assert panel.picture(0) == chosen
    assert panel.scores()[0] == 1
    assert panel.code.inner_text().startswith("search(store.image_dir / 'red star/red-star-")
    assert panel.query.input_value() == ""
    panel.enter("a blue thing")
    panel.wait_for("a blue thing + red-star-")
    assert any("blue" in label for label in panel.labels())


def test_less_like_stays_away(panel):
    panel.enter("something red")
    panel.wait_for("something red: 10 images")
    kinds = {label.split()[-1].removesuffix("s") for label in panel.labels()}
    away = sorted(kinds)[0]
    panel.unlike.fill(f"a {away}")
    panel.unlike.press("Enter")
    panel.wait_for(f"something red, unlike a {away}: 10 images")
    assert not any(away in label for label in panel.labels())
    assert panel.code.inner_text().startswith("search(Query(like=['something red'], unlike=['a ")
    panel.unlike.fill("")
    panel.unlike.press("Enter")


def test_labels_narrow_the_search_and_can_be_taken_back(panel):
    select = panel.root.locator("select")
    select.select_option("blue bird")
    panel.wait_for("a red star: 10 images")
    panel.root.locator(".jupyter-widget-tag", has_text="blue bird").wait_for()
    panel.page.wait_for_function(
        "() => [...document.querySelectorAll('.widget-gridbox figcaption')]"
        ".every(caption => caption.innerText.endsWith('blue bird'))"
    )
    assert set(panel.labels()) == {"blue bird"}
    assert "where={'label': ['blue bird']}" in panel.code.inner_text()
    panel.root.locator(".jupyter-widget-tag .fa-times, .jupyter-widget-tag-close").first.click()
    panel.code.filter(has_not_text="where").wait_for()
    assert set(panel.labels()) == {"red star"}


def test_an_uploaded_image_finds_what_is_like_it(panel, images, tmp_path):
    photo = list_images(images / "green star")[2]
    upload = shutil.copy(photo, tmp_path / "my photo.jpg")
    panel.enter("")
    panel.upload(upload)
    panel.wait_for("my_photo.jpg: 10 images")
    assert panel.picture(0) == shown(photo)
    assert panel.scores()[0] == 1
    assert set(panel.labels()[:3]) == {"green star"}
    Image.open(photo).resize((2400, 2400)).save(tmp_path / "large.bmp")
    assert (tmp_path / "large.bmp").stat().st_size > 15e6  # more than Jupyter takes by itself
    panel.upload(tmp_path / "large.bmp")
    panel.wait_for("large.bmp: 10 images")
    assert set(panel.labels()[:3]) == {"green star"}


def test_an_error_is_shown_and_the_pictures_stay(panel, tmp_path):
    before = panel.captions()
    panel.enter("  ")
    panel.message.filter(has_text="the query is blank: say what to look for").wait_for()
    assert panel.captions() == before
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    panel.upload(broken)
    panel.message.filter(has_text="cannot be read as an image").wait_for()
    assert panel.captions() == before


def test_the_last_of_five_quick_queries_stays(panel):
    for text in ("blue", "two hearts", "a fish", "a boat", "a purple heart"):
        panel.enter(text)
    panel.wait_for("a purple heart: 10 images")
    panel.page.wait_for_timeout(1000)
    assert panel.labels() == ["purple heart"] * 10
    assert "a purple heart" in panel.code.inner_text()


def test_nothing_that_matches_is_said(panel):
    panel.enter("a zebra on a train")
    panel.message.filter(has_text="Nothing here matches well").wait_for()
    assert len(panel.labels()) == 10


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
def test_a_name_made_of_html_is_only_a_name(panel, images):
    panel.enter("")
    panel.upload(images / EVIL)
    panel.wait_for("onerror_document")
    assert panel.captions()[0].splitlines()[-1] == EVIL
    assert panel.tiles.locator("img").first.get_attribute("title") == str(images / EVIL)
    panel.tiles.first.get_by_role("button").click()
    panel.wait_for(EVIL)
    panel.enter(EVIL)
    panel.wait_for(f"{EVIL} + {EVIL}")
    assert panel.page.title() != "broken"
    assert panel.page.locator("img[src='x']").count() == 0
