"""The search panel in a real JupyterLab, driven in a real Chromium as a person would."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from helpers import list_images

from .benchmarks import latency
from .support import browser
from .support.notebooks import NOTEBOOKS, pictures, tagged
from .support.processes import ROOT, SCREENSHOTS, environment

CELLS = f"() => {browser.NOTEBOOK}.content.widgets.length"
EVIL = "<img src=x onerror=document.title='broken'>.jpg"
FAKE = "photo\u202egpj.exe.jpg"  # shown as photogpj.exe.jpg backwards from its fifth letter on
LEFTWARDS = "תמונה 12.jpg"
IS_LEFT_OF_WHAT_FOLLOWS = """bdi => {
    const rest = document.createRange();
    rest.selectNode(bdi.nextSibling);
    return bdi.getBoundingClientRect().right <= rest.getBoundingClientRect().left + 1;
}"""
pytestmark = browser.needed


@pytest.fixture(scope="module")
def images(demo_data, tmp_path_factory) -> Path:
    """The demo's drawings, with photos whose names are HTML, or written from right to left."""
    images = demo_data(tmp_path_factory.mktemp("data")) / "demo" / "images"
    if os.name == "posix":
        for size, name in enumerate((EVIL, FAKE, LEFTWARDS), start=200):
            Image.effect_mandelbrot((size, size), (-2, -1.5, 1, 1.5), 50).save(images / name)
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
        browser.PanelPage(page).wait_for("a red star: 50 images", {"red star"})
        assert browser.broken_pictures(page) == []


def script_ran(dialog) -> None:
    pytest.fail(f"a script ran: {dialog.message}")


def script_failed(error) -> None:
    pytest.fail(f"the page has an error: {error}")


@pytest.fixture(scope="module")
def shared(kernel_that_ran_03, lab, chromium) -> Iterator[browser.Shared]:
    page = browser.Shared(lambda: browser.open_notebook(chromium, lab, "03_search"))
    yield page
    page.close()


@pytest.fixture
def panel(shared, request):
    """A panel of its own, new from its cell; keep a picture of the end of each test."""
    page = shared.opened()
    page.on("dialog", script_ran)
    page.on("pageerror", script_failed)
    browser.run_cell(page, "panel = SearchPanel(")
    panel = browser.PanelPage(page)
    panel.root.evaluate("root => root.scrollIntoView()")  # wherever the test before was
    panel.wait_for("a red star: 50 images", {"red star"})
    yield panel
    name = request.node.name.removeprefix("test_")
    page.screenshot(path=SCREENSHOTS / f"panel-{name}.png")
    page.remove_listener("dialog", script_ran)
    page.remove_listener("pageerror", script_failed)


@pytest.fixture
def alone(shared) -> None:
    """No other page shows the notebook; such tests come last, so that one page is enough."""
    shared.close()


def test_enter_shows_the_right_pictures(panel):
    panel.enter("two blue birds")
    panel.wait_for("two blue birds: 50 images", {"two blue birds"})
    assert panel.scores() == sorted(panel.scores(), reverse=True)


def test_a_photo_opens_large_and_the_arrow_keys_go_on(panel, images):
    names = panel.names()
    opened = images / "red star" / names[1]
    content = opened.read_bytes()
    Image.open(opened).resize((600, 600)).save(opened)  # larger than its thumbnail
    panel.photos.nth(1).locator(".photo").click()
    panel.large.get_by_role("heading", name=names[1]).wait_for()
    shown = panel.large.locator("img")
    browser.wait_until(lambda: shown.evaluate("image => image.naturalHeight") == 600)
    opened.write_bytes(content)
    assert str(images / "red star" / names[1]) in panel.large.inner_text()
    assert "a match: " in panel.large.inner_text()
    heights = panel.large.locator("dt").evaluate_all("all => all.map(each => each.clientHeight)")
    assert max(heights) < 30  # one line each
    panel.keys("ArrowRight", "ArrowRight", "ArrowLeft")
    panel.large.get_by_role("heading", name=names[2]).wait_for()
    panel.keys("Escape")
    panel.large.wait_for(state="hidden")
    browser.wait_until(lambda: panel.focused() == f"red star: {names[2]}")


def test_the_keyboard_alone_does_it_all(panel):
    names = panel.names()
    panel.query.focus()
    for _ in range(20):
        panel.keys("Tab")
        if panel.focused() == f"red star: {names[0]}":
            break
    panel.keys("ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight")
    assert panel.focused() == f"red star: {names[1]}"
    panel.keys("Enter")
    panel.large.get_by_role("heading", name=names[1]).wait_for()
    panel.keys("Escape")
    browser.wait_until(lambda: panel.focused() == f"red star: {names[1]}")
    panel.keys("Tab", "Space", "Tab", "Space")
    panel.root.get_by_role("button", name="1 chosen").wait_for()
    panel.chips.filter(has_text=f"more like {names[1]}").wait_for()
    panel.keys("Tab", "Tab", "Enter")
    panel.wait_for(f"{names[1]}: 50 images")
    panel.root.get_by_role("button", name=f"Without like {names[1]}").focus()
    panel.keys("Enter")
    panel.message.filter(has_text="the query is blank").wait_for()
    panel.root.get_by_role("button", name="The question before").focus()
    panel.keys("Enter")
    panel.wait_for("a red star: 50 images", {"red star"})


def test_jupyters_own_keys_leave_the_cell_alone(panel):
    before = panel.page.evaluate(CELLS)
    panel.mark(2, "up")
    panel.keys("d", "d", "b", "a", "x")
    panel.root.get_by_role("button", name="options").click()
    panel.keys("d", "d", "b")
    panel.root.get_by_role("checkbox", name="several phrasings").check()
    panel.keys("d", "d", "b")
    panel.root.get_by_label("order").focus()
    panel.keys("d", "d", "b")
    assert panel.page.evaluate(CELLS) == before
    assert panel.photos.count() >= 50


def test_more_like_this_finds_the_picture_itself_first_and_a_chip_says_so(panel):
    chosen = panel.names()[3]
    panel.mark(3, "like")
    panel.wait_for(f"{chosen}: 50 images")
    assert panel.names()[0] == chosen
    assert panel.scores()[0] == 1
    assert panel.query.input_value() == ""
    panel.chips.filter(has_text=f"like {chosen}").wait_for()
    panel.enter("a blue thing")
    panel.wait_for(f"a blue thing + {chosen}")
    assert any("blue" in label for label in panel.labels()[:10])
    panel.chips.get_by_role("button").click()
    panel.wait_for("a blue thing: 50 images")
    assert panel.chips.count() == 0


def test_less_like_stays_away(panel):
    panel.enter("something red")
    panel.wait_for("something red: 50 images")
    kinds = {label.split()[-1].removesuffix("s") for label in panel.labels()[:10]}
    away = sorted(kinds)[0]
    panel.type("stay away from", f"a {away}")
    panel.wait_for(f"something red, unlike a {away}: 50 images")
    assert not any(away in label for label in panel.labels()[:10])


def test_thumbs_steer_the_next_search(panel):
    panel.enter("a bird")
    panel.wait_for("a bird: 50 images")
    labels = panel.labels()
    colour = next(label.split()[0] for label in labels[:20] if label.endswith("bird"))
    good = [place for place in range(20) if labels[place].startswith(colour)][:2]
    bad = [place for place in range(20) if not labels[place].startswith(colour)][:2]
    for place in good:
        panel.mark(place, "up")
    for place in bad:
        panel.mark(place, "down")
    browser.wait_until(lambda: panel.chips.count() == len(good + bad))
    panel.status.filter(has_text="Search again").wait_for()
    panel.query.press("Enter")
    panel.wait_for("a bird + ")
    before = sum(label.startswith(colour) for label in labels[:10])
    assert sum(label.startswith(colour) for label in panel.labels()[:10]) >= before
    weight = panel.chips.first.get_by_role("spinbutton")
    weight.fill("2")
    weight.press("Enter")
    browser.wait_until(lambda: panel.chips.first.get_by_role("spinbutton").input_value() == "2")
    weight.press("ArrowUp")  # each step is a change; the focus stays
    weight.press("ArrowUp")
    browser.wait_until(lambda: panel.chips.first.get_by_role("spinbutton").input_value() == "2.2")
    assert panel.focused().startswith("Weight of more like ")
    panel.chips.last.get_by_role("button").click()
    browser.wait_until(lambda: panel.chips.count() == len(good + bad) - 1)
    panel.unfold()
    with panel.page.expect_download() as download:
        panel.root.get_by_role("button", name="save thumbs").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "query,filepath,relevant"
    assert len(lines) == len(good + bad)
    assert lines[1].startswith("a bird,")


def test_filters_narrow_the_search_and_their_chips_take_them_back(panel):
    panel.type("one of the labels", "blue bird")
    panel.wait_for("a red star: 10 images", {"blue bird"})
    panel.type("2019, 2019-06", "2019-06")
    panel.chips.filter(has_text="from 2019-06").wait_for()
    browser.wait_until(lambda: 0 < panel.photos.count() < 10)
    assert set(panel.labels()) == {"blue bird"}
    panel.type("one of the labels", "no such label")
    panel.message.filter(has_text="no photo has the label 'no such label'").wait_for()
    panel.type("2019, 2019-06", "june")
    panel.message.filter(has_text="'june' is not a date").wait_for()
    panel.chips.filter(has_text="june").get_by_role("button").click()
    panel.chips.filter(has_text="blue bird").get_by_role("button").click()
    panel.wait_for("a red star: 50 images", {"red star"})
    panel.type("a piece of its name, or", "blue-bird-0")
    panel.wait_for("a red star: 9 images", {"blue bird"})


def test_what_is_read_becomes_a_chip_and_plain_words_again_without_it(panel):
    panel.enter("a star, not red")
    panel.wait_for("a star, unlike red: 50 images")
    assert "red star" not in panel.labels()[:5]
    panel.chips.get_by_role("button", name="unlike red: as plain words").click()
    panel.wait_for("a star, not red: 50 images")
    assert panel.query.input_value() == "a star, not red"
    panel.chips.get_by_role("button", name="Read not red again").click()
    panel.wait_for("a star, unlike red: 50 images")
    assert panel.chips.all_inner_texts() == ["unlike red\n×"]


def test_on_a_narrow_page_photos_are_still_beside_each_other(panel):
    panel.page.evaluate("() => jupyterapp.shell.collapseLeft()")
    panel.page.set_viewport_size({"width": 360, "height": 740})
    browser.wait_until(lambda: browser.filled(panel.page)[1] >= 2)
    panel.page.set_viewport_size(browser.WINDOW)


def test_more_photos_come_when_one_scrolls_to_the_end(panel):
    last = panel.photos.nth(49)
    last.scroll_into_view_if_needed()
    browser.wait_until(lambda: panel.photos.count() == 150)
    panel.photos.nth(149).scroll_into_view_if_needed()
    browser.wait_until(lambda: panel.photos.count() == 250)
    browser.wait_until(lambda: panel.page.evaluate(browser.IN_SIGHT_ARE_DRAWN))
    assert len(set(panel.names())) == 250


def test_a_photo_that_cannot_be_read_says_so_small_and_large(panel, images):
    broken = list_images(images / "two red apples")[0]
    content = broken.read_bytes()
    broken.write_bytes(b"no image")
    try:
        panel.enter("two red apples")
        panel.wait_for("two red apples: 50 images", {"two red apples"})
        place = panel.names().index(broken.name)
        photo = panel.photos.nth(place).locator(".photo")
        browser.wait_until(lambda: "unreadable" in photo.get_attribute("class"))
        photo.click()
        panel.root.locator("dialog.unreadable").wait_for()
        assert panel.large.locator("img").is_hidden()
        panel.keys("ArrowRight" if place == 0 else "ArrowLeft")
        panel.root.locator("dialog[open]:not(.unreadable)").wait_for()
        assert panel.large.locator("img").is_visible()
    finally:
        broken.write_bytes(content)


def test_photos_are_taken_away(panel, tmp_path):
    names = panel.names()
    panel.mark(1, "choose")
    panel.mark(4, "choose")
    panel.root.get_by_role("button", name="2 chosen").wait_for()
    panel.unfold()
    with panel.page.expect_download() as download:
        panel.root.get_by_role("button", name="save as CSV").click()
    table = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[2].split("/")[-1] for line in table[1:]] == [names[1], names[4]]
    panel.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.root.get_by_role("button", name="copy paths").click()
    read = "navigator.clipboard.readText()"
    browser.wait_until(
        lambda: (
            [line.split("/")[-1] for line in panel.page.evaluate(read).splitlines()]
            == [names[1], names[4]]
        )
    )
    panel.type("a folder: the chosen", str(tmp_path / "copies"))
    panel.root.get_by_role("button", name="Copy", exact=True).click()
    panel.message.filter(has_text="2 photos are in").wait_for()
    assert {path.name for path in (tmp_path / "copies").iterdir()} == {names[1], names[4]}


def test_an_uploaded_image_finds_what_is_like_it(panel, images, tmp_path):
    photo = list_images(images / "green star")[2]
    upload = shutil.copy(photo, tmp_path / "my photo.jpg")
    panel.enter("")
    panel.upload(upload)
    panel.wait_for("my_photo.jpg: 50 images")
    assert panel.names()[0] == photo.name
    assert panel.scores()[0] == 1
    panel.chips.filter(has_text="like").filter(has_text="my_photo.jpg").wait_for()
    Image.open(photo).resize((2400, 2400)).save(tmp_path / "large.bmp")
    assert (tmp_path / "large.bmp").stat().st_size > 15e6  # more than Jupyter takes by itself
    panel.upload(tmp_path / "large.bmp")
    panel.wait_for("large.bmp: 50 images")
    assert set(panel.labels()[:3]) == {"green star"}


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_an_image_can_be_dropped_or_pasted(panel, images, way):
    photo = list_images(images / "green star")[2]
    data = panel.page.evaluate_handle(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], 'dropped.jpg', {type: 'image/jpeg'}));
            return data;
        }""",
        list(photo.read_bytes()),
    )
    event = {"dataTransfer" if way == "drop" else "clipboardData": data, "bubbles": True}
    if way == "drop":
        panel.photos.first.dispatch_event("drop", event)
    else:
        panel.page.evaluate(
            "data => document.querySelector('.search-photos').dispatchEvent(new ClipboardEvent("
            "'paste', {clipboardData: data, bubbles: true, cancelable: true}))",
            data,
        )
    panel.wait_for("a red star + ")
    panel.status.filter(has_text="dropped.jpg").wait_for()


def test_an_error_is_shown_and_the_pictures_stay(panel, tmp_path):
    before = panel.names()
    panel.enter("  ")
    panel.message.filter(has_text="the query is blank: say what to look for").wait_for()
    assert panel.names() == before
    panel.enter("a red star")
    panel.unfold()
    number = panel.root.get_by_label("at first")
    for typed, says in {"3.7": "3.7", "-5": "-5", "1e9": "1000000000"}.items():
        number.select_text()
        number.press_sequentially(typed)
        number.press("Enter")
        panel.message.filter(has_text=says).wait_for()
        assert panel.names() == before
    for typed, images in {"1e1": 10, "3.0": 3, "50": 50}.items():
        number.select_text()
        number.press_sequentially(typed)
        number.press("Enter")
        panel.wait_for(f"a red star: {images} images")
    number.select_text()
    number.press_sequentially("-")  # is no number
    number.press("Enter")
    browser.wait_until(lambda: number.input_value() == "50")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    panel.upload(broken)
    panel.message.filter(has_text="cannot be read as an image").wait_for()
    assert panel.names() == before
    assert panel.root.locator(".announced").inner_text() == panel.message.inner_text()


def test_the_last_of_five_quick_queries_stays(panel):
    for text in ("blue", "two hearts", "a fish", "a boat", "a purple heart"):
        panel.enter(text)
    panel.wait_for("a purple heart: 50 images", {"purple heart"})
    panel.page.wait_for_function(browser.READY)  # the kernel has nothing more to do
    panel.wait_for("a purple heart: 50 images", {"purple heart"})


def test_nothing_that_matches_is_said(panel):
    panel.enter("a zebra on a train")
    panel.message.filter(has_text="Nothing here matches well").wait_for()
    browser.wait_until(lambda: panel.photos.count() >= 50)


def test_the_stopwatch_of_make_latency_tells_the_whole_and_its_parts(panel):
    for text in ("a blue fish", "a green boat"):
        spent = latency.ask(panel, text)
        assert spent.keys() == {"enter to pictures", "pictures", "in", "query", "Milvus"}
        assert 0 < spent["pictures"] <= 50
        assert spent["enter to pictures"] >= spent["in"] > 0
        panel.wait_for(f"{text}: 50 images")


def test_nothing_keeps_people_from_using_the_panel(panel):
    from axe_playwright_python.sync_playwright import Axe

    panel.mark(0, "up")
    panel.root.get_by_role("button", name="options").click()
    panel.photos.nth(1).locator(".photo").click()
    for state in ("large", "small"):
        if state == "small":
            panel.keys("Escape")
        found = Axe().run(panel.page, context=".search-panel").response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert serious == [], json.dumps(serious, indent=1)[:3000]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
def test_a_name_made_of_html_is_only_a_name(panel, images):
    panel.enter("")
    panel.upload(images / EVIL)
    panel.wait_for("onerror_document")
    assert panel.names()[0] == EVIL
    panel.photos.first.locator(".photo").click()
    panel.large.get_by_role("heading", name=EVIL).wait_for()
    panel.keys("Escape")
    panel.mark(0, "like")
    panel.wait_for(EVIL)
    panel.enter(EVIL)
    panel.wait_for(f"{EVIL} + <img")
    assert panel.page.title() != "broken"
    assert panel.page.locator("img[src='x']").count() == 0


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
def test_texts_from_right_to_left_stand_apart_and_no_ending_is_faked(panel, images):
    panel.enter("תמונה 12")
    panel.wait_for("תמונה 12: 50 images")
    assert panel.status.locator("bdi").evaluate(IS_LEFT_OF_WHAT_FOLLOWS)
    panel.type("a piece of its name, or", "תמונה")
    panel.wait_for("תמונה 12: 1 image")
    assert panel.names() == [LEFTWARDS]
    panel.chips.filter(has_text="name has תמונה").locator("bdi").wait_for()
    panel.type("one of the labels", "עברית")
    panel.message.filter(has_text="no photo has the label 'עברית'").locator("bdi").wait_for()
    panel.photos.first.locator(".photo").click()
    panel.large.get_by_role("heading", name=LEFTWARDS).locator("bdi").wait_for()
    panel.page.screenshot(path=SCREENSHOTS / "panel-right-to-left.png")
    panel.keys("Escape")
    panel.type("a piece of its name, or", "gpj")
    panel.photos.filter(has_text="exe.jpg").wait_for()  # the status stays as it was
    assert panel.names() == ["photogpj.exe.jpg"]
    panel.mark(0, "like")
    panel.wait_for("photogpj.exe.jpg: 50 images")
    panel.chips.filter(has_text="like photogpj.exe.jpg").wait_for()
    assert "\u202e" not in panel.root.inner_html()
    panel.type("one of the labels", " Blue  BIRD ")
    panel.wait_for("photogpj.exe.jpg: 10 images", {"blue bird"})


def test_after_a_reload_clicks_mean_the_photos_that_are_seen(alone, lab, chromium):
    """The kernel goes on and knows 150 photos; the page begins with 50 again."""
    with browser.open_notebook(chromium, lab, "03_search") as page:
        browser.run_cell(page, "panel = SearchPanel(")
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 50 images", {"red star"})
        panel.mark(1, "choose")
        panel.root.get_by_role("button", name="1 chosen").wait_for()
        panel.photos.nth(49).scroll_into_view_if_needed()
        browser.wait_until(lambda: panel.photos.count() == 150)
        names = panel.names()
        page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
        page.reload()
        page.wait_for_function(browser.READY)
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 50 images", {"red star"})
        assert panel.photos.count() == 50
        panel.root.get_by_role("button", name="1 chosen").wait_for()
        panel.photos.nth(49).scroll_into_view_if_needed()
        browser.wait_until(lambda: panel.photos.count() == 150)
        assert panel.names() == names
        panel.photos.nth(120).scroll_into_view_if_needed()
        panel.mark(120, "like")
        panel.wait_for(f"{names[120]}: 50 images")


def test_two_views_of_one_panel_show_the_same_photos(alone, lab, chromium):
    """As JupyterLab's "create new view for output" makes them."""
    with browser.open_notebook(chromium, lab, "03_search") as page:
        browser.run_cell(page, "panel = SearchPanel(")
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 50 images", {"red star"})
        panel.page.evaluate("() => jupyterapp.commands.execute('notebook:create-output-view')")
        both = panel.page.locator(".search-photos")
        browser.wait_until(lambda: both.count() == 2)
        other = browser.PanelPage(panel.page)
        other.root = panel.page.locator(".search-panel").nth(1)
        other.photos = other.root.locator(".photos > li")
        for one in (panel, other):
            browser.wait_until(lambda one=one: one.photos.count() >= 50)
            one.photos.first.scroll_into_view_if_needed()
            browser.wait_until(
                lambda one=one: one.photos.first.locator("img").evaluate(
                    "image => image.naturalWidth"
                )
            )
        for act in ("choose", "up"):
            other.mark(1, act)
            for one in (panel, other):
                one.photos.nth(1).locator(f"[data-act={act}][aria-pressed=true]").wait_for()
        for one in (panel, other):
            one.root.get_by_role("button", name="1 chosen").wait_for()
            one.chips.filter(has_text=f"more like {panel.names()[1]}").wait_for()


def test_a_saved_panel_shows_its_pictures_when_it_is_opened_again(alone, lab, folder, chromium):
    """Without its kernel, as on the next day. JupyterLab alone would show an error in its place."""
    notebook = nbformat.read(ROOT / "notebooks" / "03_search.ipynb", as_version=4)
    (parameters,) = tagged(notebook, "parameters")
    notebook.cells = [notebook.cells[i] for i in (2, parameters, parameters + 1, -2)]
    nbformat.write(notebook, folder / "notebooks" / "saved.ipynb")
    with browser.open_notebook(chromium, lab, "saved") as page:
        browser.run_all_cells(page)
        panel = browser.PanelPage(page)
        panel.enter("a blue bird")
        panel.wait_for("a blue bird: 50 images", {"blue bird"})
        page.wait_for_function(browser.READY)
        names = panel.names()
        page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
        page.evaluate(f"() => {browser.NOTEBOOK}.sessionContext.shutdown()")
        panel.enter("a fish")
        panel.root.get_by_text("The kernel does not answer").wait_for()
        assert panel.names() == names
        panel.photos.first.locator(".photo").click()
        panel.large.get_by_role("heading", name=names[0]).wait_for()
        page.screenshot(path=SCREENSHOTS / "panel-dead-kernel.png")
    with browser.open_notebook(chromium, lab, "saved") as page:
        panel = browser.PanelPage(page)
        panel.wait_for("a blue bird: 50 images", {"blue bird"})
        assert panel.names() == names
        panel.root.get_by_text("The kernel does not answer").wait_for()
        assert page.get_by_text("Error displaying widget").count() == 0
        page.screenshot(path=SCREENSHOTS / "panel-saved.png")


def test_the_panel_is_the_same_in_notebook_7(alone, lab, chromium):
    with browser.open_page(chromium, f"{lab}/notebooks/notebooks/03_search.ipynb") as page:
        page.wait_for_function(browser.READY)
        browser.run_cell(page, "panel = SearchPanel(")
        panel = browser.PanelPage(page)
        panel.enter("two blue birds")
        panel.wait_for("two blue birds: 50 images", {"two blue birds"})
        cells = page.evaluate(CELLS)
        panel.mark(1, "up")
        panel.keys("d", "d", "b")
        panel.photos.nth(1).locator(".photo").click()
        panel.large.get_by_role("heading", name=panel.names()[1]).wait_for()
        panel.keys("d", "d", "Escape")
        assert page.evaluate(CELLS) == cells
        page.screenshot(path=SCREENSHOTS / "panel-notebook-7.png")


def test_every_picture_of_every_notebook_is_shown(alone, demo_run, lab, folder, chromium):
    with browser.open_page(chromium, f"{lab}/lab?reset") as page:
        for path in NOTEBOOKS:
            shutil.copy(demo_run.runs / path.name, folder)
            browser.show_notebook(page, path.name)
            expected = pictures(demo_run.runs / path.name)
            assert expected > 0
            page.wait_for_function(
                "n => document.querySelectorAll('.jp-Notebook img').length >= n", arg=expected
            )
            assert browser.broken_pictures(page) == [], path.name
            page.screenshot(path=SCREENSHOTS / f"lab-{path.stem}.png")
