"""The search panel in a real JupyterLab, driven in a real Chromium as a person would."""

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from helpers import list_images
from helpers.images.gallery import tile_html

from .benchmarks import latency
from .support import browser
from .support.notebooks import tagged
from .support.processes import ROOT, SCREENSHOTS, environment

EVIL = "<img src=x onerror=document.title='broken'>.jpg"
pytestmark = browser.needed


@pytest.fixture(scope="module")
def images(demo_data, tmp_path_factory) -> Path:
    """The demo's drawings, with one photo whose name is HTML."""
    images = demo_data(tmp_path_factory.mktemp("data")) / "demo" / "images"
    if os.name == "posix":
        Image.effect_mandelbrot((200, 200), (-2, -1.5, 1, 1.5), 50).save(images / EVIL)
    return images


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(images, folder):
    env = environment(images.parent.parent, IMAGE_SEARCH_PROFILE="demo")
    with browser.jupyter_lab(folder, env) as address:
        yield address


@pytest.fixture(scope="module")
def kernel_that_ran_03(lab, chromium) -> None:
    """Run 03_search alone: it fills the collection itself. Its kernel goes on after the page."""
    with browser.open_notebook(chromium, lab, "03_search") as page:
        browser.run_all_cells(page)
        errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
        assert errors.count() == 0, errors.all_inner_texts()
        browser.PanelPage(page).wait_for("a red star: 10 images", {"red star"})
        assert browser.broken_pictures(page) == []


@pytest.fixture
def panel(kernel_that_ran_03, lab, chromium, request):
    """A panel on a page of its own, new from its cell; keep a picture of the end of each test."""
    with browser.open_notebook(chromium, lab, "03_search") as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        browser.run_cell(page, "panel = SearchPanel(")
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 10 images", {"red star"})
        yield panel
        panel.query.scroll_into_view_if_needed()
        name = request.node.name.removeprefix("test_")
        page.screenshot(path=SCREENSHOTS / f"panel-{name}.png")


def shown(path: Path) -> str:
    """Return the data address of an image's thumbnail."""
    return re.search(r"src='([^']+)'", tile_html(path, ""))[1]


def test_enter_shows_the_right_pictures(panel, images):
    panel.enter("two blue birds")
    panel.wait_for("two blue birds: 10 images", {"two blue birds"})
    assert panel.scores() == sorted(panel.scores(), reverse=True)
    drawn = {shown(path) for path in list_images(images / "two blue birds")}
    assert {panel.picture(place) for place in range(10)} == drawn


def test_more_like_this_finds_the_picture_itself_first(panel):
    chosen = panel.picture(3)
    panel.tiles.nth(3).get_by_role("button", name="more like this").click()
    panel.wait_for("red-star-")
    assert panel.picture(0) == chosen
    assert panel.scores()[0] == 1
    panel.code.filter(has_text="search(store.image_dir / 'red star/red-star-").wait_for()
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
    panel.code.filter(has_text="search(Query(like=['something red'], unlike=['a ").wait_for()


def test_labels_narrow_the_search_and_can_be_taken_back(panel):
    panel.root.locator("select").select_option("blue bird")
    panel.root.locator(".jupyter-widget-tag", has_text="blue bird").wait_for()
    panel.wait_for("a red star: 10 images", {"blue bird"})
    panel.code.filter(has_text="where={'label': ['blue bird']}").wait_for()
    panel.root.locator(".jupyter-widget-tag .fa-times, .jupyter-widget-tag-close").first.click()
    panel.code.filter(has_not_text="where").wait_for()
    panel.wait_for("a red star: 10 images", {"red star"})


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
    panel.wait_for("a purple heart: 10 images", {"purple heart"})
    panel.page.wait_for_function(browser.READY)  # the kernel has nothing more to do
    assert "a purple heart: 10 images" in panel.status.inner_text()
    assert "a purple heart" in panel.code.inner_text()
    assert set(panel.labels()) == {"purple heart"}


def test_nothing_that_matches_is_said(panel):
    panel.enter("a zebra on a train")
    panel.message.filter(has_text="Nothing here matches well").wait_for()
    assert len(panel.labels()) == 10


def test_the_stopwatch_of_make_latency_tells_the_whole_and_its_parts(panel):
    for text in ("a blue fish", "a green boat"):
        spent = latency.ask(panel, text)
        assert spent.keys() == {"enter to pictures", "in", "query", "Milvus", "pictures"}
        assert spent["enter to pictures"] >= spent["in"] > 0
        panel.wait_for(f"{text}: 10 images")


def test_a_saved_panel_shows_its_pictures_when_it_is_opened_again(
    kernel_that_ran_03, lab, folder, chromium
):
    """Without its kernel, as on the next day. JupyterLab alone would show an error in its place."""
    notebook = nbformat.read(ROOT / "notebooks" / "03_search.ipynb", as_version=4)
    (parameters,) = tagged(notebook, "parameters")
    notebook.cells = [notebook.cells[i] for i in (2, parameters, parameters + 1, -2)]
    nbformat.write(notebook, folder / "notebooks" / "saved.ipynb")
    with browser.open_notebook(chromium, lab, "saved") as page:
        browser.run_all_cells(page)
        panel = browser.PanelPage(page)
        panel.enter("a blue bird")
        panel.wait_for("a blue bird: 10 images")
        page.wait_for_function(browser.READY)
        captions = panel.captions()
        page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
        page.evaluate(f"() => {browser.NOTEBOOK}.sessionContext.shutdown()")
    with browser.open_notebook(chromium, lab, "saved") as page:
        panel = browser.PanelPage(page)
        panel.wait_for("a blue bird: 10 images")
        assert panel.captions() == captions
        assert page.get_by_text("Error displaying widget").count() == 0
        page.screenshot(path=SCREENSHOTS / "panel-saved.png")


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
