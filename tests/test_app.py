"""`make app`: the search panel alone, as a page, in a real Chromium."""

import contextlib
import json
import os
import signal
import sys
import types
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psutil
import pytest
import websocket
import zmq
from PIL import Image

from helpers import ImageStore, ingest

from .support import browser
from .support.processes import ROOT, SCREENSHOTS, environment, python

QUICK = ["--MappingKernelManager.cull_idle_timeout=20", "--MappingKernelManager.cull_interval=1"]
SORRY = "The photos cannot be searched at the moment"
# What a kernel runs before anything else: it waits while there is a file, or dies of another.
IN_KERNELS = """
import os, sys, time
if os.path.exists({gate!r} + "-dead") and "ipykernel_launcher" in sys.orig_argv:
    os.remove({gate!r} + "-dead")
    os._exit(1)
import helpers
opened = helpers.open_collection
def open_collection(settings):
    while os.path.exists({gate!r}):
        time.sleep(0.1)
    return opened(settings)
helpers.open_collection = open_collection
"""


@pytest.fixture(scope="module")
def small(drawings, tiny, tmp_path_factory) -> types.SimpleNamespace:
    """A data folder with a collection of 50 drawings, and the environment of those who use it."""
    data = tmp_path_factory.mktemp("small")
    data.mkdir(exist_ok=True)
    with ImageStore(data / "milvus.db", "photos") as store:
        ingest(drawings, tiny, store, progress=False)
    return types.SimpleNamespace(
        data=data, env=environment(data), options=["--profile=demo", "--collection=photos"]
    )


@pytest.fixture(scope="module")
def app(small, tmp_path_factory) -> Iterator[types.SimpleNamespace]:
    """The app, for all tests: one visitor does not disturb another. Its kernels end quickly."""
    folder = tmp_path_factory.mktemp("app")
    gate = folder / "gate"
    (folder / "sitecustomize.py").write_text(IN_KERNELS.format(gate=str(gate)))
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    scratch = folder / "scratch"
    scratch.mkdir()
    env = small.env | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TMPDIR": str(scratch)}
    with browser.voila_app(folder, env, *small.options, *QUICK) as (link, server):
        address = "{0.scheme}://{0.netloc}".format(urlsplit(link))
        yield types.SimpleNamespace(
            link=link,
            address=address,
            server=server,
            gate=gate,
            scratch=scratch,
            log=folder / "server.log",
        )


def kernels(server: psutil.Process) -> dict[int, psutil.Process]:
    """Find the kernels that run; one that has just ended has no command line any more."""
    found = {}
    for child in server.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "ipykernel_launcher" in child.cmdline():
                found[child.pid] = child
    return found


def listening(process: psutil.Process) -> list:
    """List the addresses where a process listens."""
    sockets = process.net_connections("tcp")
    return [socket.laddr for socket in sockets if socket.status == psutil.CONN_LISTEN]


def kernel_id(page) -> str:
    return page.evaluate("JSON.parse(document.querySelector('#jupyter-config-data').text).kernelId")


def answer(request: str | Request) -> tuple[int, str, str]:
    """Return the status of an answer, where it came from at last, and what it says."""
    try:
        with urlopen(request) as answered:
            return answered.status, answered.url, answered.read().decode()
    except HTTPError as error:
        return error.code, error.url, error.read().decode()


def shakes_hands(address: str) -> int:
    """Return the status with which a websocket is answered: 101 is a yes."""
    try:
        opened = websocket.create_connection(address.replace("http:", "ws:"))
        opened.close()
        return opened.status
    except websocket.WebSocketBadStatusException as error:
        return error.status_code


@browser.needed
def test_the_app_is_the_panel_for_this_machine_only_and_its_kernels_end(app, chromium, tmp_path):
    """A page that is loaded again leaves a kernel behind, which ends when nobody is there."""
    before = kernels(app.server)
    with browser.open_page(chromium, app.link) as page:
        browser.PanelPage(page).wait_for("a red star: 50 images")
        assert "token" not in page.url
        page.reload()
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 50 images")
        Image.new("RGB", (2400, 2400), "red").save(tmp_path / "large.bmp")
        panel.upload(tmp_path / "large.bmp")
        panel.wait_for("large.bmp: 50 images")
        everybody = [app.server, *kernels(app.server).values()]
        places = {place.ip.removeprefix("::ffff:") for one in everybody for place in listening(one)}
        assert places == {"127.0.0.1"}
        browser.wait_until(lambda: len(set(kernels(app.server)) - set(before)) == 1)
        panel.enter("a blue bird")  # the kernel of the open page goes on
        panel.wait_for("a blue bird")
        assert len(list(app.scratch.glob("image-search-*/*large.bmp"))) == 1
    browser.wait_until(lambda: not set(kernels(app.server)) - set(before))


@browser.needed
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_page_has_a_name_an_icon_the_visitors_colours_and_the_whole_window(
    app, chromium, colours
):
    context = chromium.new_context(color_scheme=colours, viewport={"width": 1300, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * browser.PATIENCE)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(app.link)
    browser.PanelPage(page).wait_for("a red star: 50 images")
    page.screenshot(path=SCREENSHOTS / f"app-{colours}.png")
    assert page.title() == page.get_by_role("heading").inner_text() == "Image search"
    assert answer(page.locator("link[rel=icon]").evaluate("link => link.href"))[0] == 200
    assert all(url.startswith((app.address, "data:", "blob:")) for url in asked)
    assert page.locator(".jp-Cell, .jp-OutputPrompt, .jp-Collapser").count() == 0
    assert page.locator("main").bounding_box()["width"] > 1260
    ground = page.evaluate("getComputedStyle(document.querySelector('#main')).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) > 384) == (colours == "light")
    context.close()


@browser.needed
def test_the_page_says_what_it_waits_for(app, chromium):
    app.gate.touch()
    try:
        with browser.open_page(chromium, app.link) as page:
            page.get_by_text("Loading the model …").wait_for()
            assert page.get_by_text("Loading widget").is_hidden()
            app.gate.unlink()
            browser.PanelPage(page).wait_for("a red star: 50 images")
            assert page.locator(".said").filter(visible=True).count() == 0
    finally:
        app.gate.unlink(missing_ok=True)


@browser.needed
def test_a_kernel_that_dies_at_its_start_is_followed_by_another(app, chromium):
    """Voila says nothing about it; the page would wait for ever."""
    dead = app.gate.with_name("gate-dead")
    dead.touch()
    with browser.open_page(chromium, app.link) as page:
        page.get_by_text("Starting …").wait_for()
        browser.wait_until(lambda: not dead.exists())
        browser.PanelPage(page).wait_for("a red star: 50 images")


@browser.needed
def test_the_address_is_the_question_and_the_browser_goes_back(app, chromium):
    with browser.open_page(chromium, f"{app.link}&query_text=two+birds&labels=blue+bird") as page:
        panel = browser.PanelPage(page)
        panel.wait_for("two birds: 10 images", {"blue bird"})
        assert "token" not in page.url
        panel.chips.get_by_role("button").click()
        panel.wait_for("two birds: 50 images")
        panel.mark(2, "like")
        chosen = panel.names()[2]
        panel.wait_for(f"{chosen}: 50 images")
        page.reload()
        panel.wait_for(f"{chosen}: 50 images")
        panel.enter("a star")
        panel.wait_for(f"a star + {chosen}: 50 images")
        page.go_back()
        panel.wait_for(f"{chosen}: 50 images")
        browser.wait_until(lambda: panel.query.input_value() == "")
        page.go_forward()
        panel.wait_for(f"a star + {chosen}: 50 images")


@browser.needed
def test_back_leads_to_the_beginning_and_two_quick_ones_go_two_questions_back(app, chromium):
    with browser.open_page(chromium, app.link) as page:
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 50 images")
        for text in ("a blue bird", "a fish"):
            panel.enter(text)
            panel.wait_for(f"{text}: 50 images")
        page.evaluate("history.back(), setTimeout(() => history.back(), 50)")
        panel.wait_for("a red star: 50 images")
        assert panel.query.input_value() == "a red star"
        for text in ("a blue bird", "a fish"):  # nothing was lost of what comes after
            page.go_forward()
            panel.wait_for(f"{text}: 50 images")


@browser.needed
def test_nobody_chooses_voilas_own_template(app, chromium):
    with browser.open_page(chromium, f"{app.link}&template=classic&theme=dark") as page:
        browser.PanelPage(page).wait_for("a red star: 50 images")


@browser.needed
def test_nothing_keeps_people_from_using_the_app(app, chromium):
    from axe_playwright_python.sync_playwright import Axe

    with browser.open_page(chromium, app.link) as page:
        browser.PanelPage(page).wait_for("a red star: 50 images")
        found = Axe().run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []


@browser.needed
@pytest.mark.parametrize(
    ("width", "height", "share", "columns"),
    [(360, 740, 0.5, 3), (1280, 720, 0.65, 4), (1920, 1080, 0.65, 7)],
)
def test_pictures_fill_the_first_screen(app, chromium, width, height, share, columns):
    with browser.open_page(chromium, app.link) as page:
        page.set_viewport_size({"width": width, "height": height})
        browser.PanelPage(page).wait_for("a red star: 50 images")
        browser.wait_until(lambda: browser.filled(page)[0] > share)
        assert browser.filled(page)[1] >= columns
        page.screenshot(path=SCREENSHOTS / f"app-{width}.png")


@browser.needed
def test_whatever_happens_to_one_visitor_another_goes_on(app, chromium):
    with browser.open_page(chromium, app.link) as page:
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 50 images")
        mine = set(kernels(app.server))
        with browser.open_page(chromium, app.link) as other:
            browser.PanelPage(other).wait_for("a red star: 50 images")
            for pid, kernel in kernels(app.server).items():
                if pid not in mine:
                    kernel.kill()
            panel.enter("a blue bird")
            panel.wait_for("a blue bird: 50 images")
            assert page.get_by_role("alert").is_hidden()
            other.get_by_text("has ended").wait_for()
            other.get_by_role("link", name="Load the page again").click()
            browser.PanelPage(other).wait_for("a red star: 50 images")


@browser.needed
def test_without_the_token_nobody_sees_or_ends_anything(app, chromium):
    with browser.open_page(chromium, app.link) as page:
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 50 images")
        kernel = kernel_id(page)
        model = f"{app.address}/api/kernels/{kernel}"
        right = f"?{urlsplit(app.link).query}"
        assert answer(model + right)[0] == 200
        assert shakes_hands(f"{model}/channels{right}") == 101
        for wrong in ("", "?token=", right[:-1], "?token=undefined"):
            for path in ("/", "/app.py", "/api/kernels", "/voila/render/app.py"):
                status, came_from, text = answer(app.address + path + wrong)
                assert came_from.split("?")[0].endswith("/no-link.html") or status == 403
                assert kernel not in text
                assert "rendered_cells" not in text
            assert answer(model + wrong)[0] == 403
            assert answer(Request(model + wrong, method="DELETE"))[0] == 403
            ends = f"{app.address}/voila/api/shutdown/{kernel}{wrong}"
            assert answer(Request(ends, method="POST"))[0] == 403
            assert shakes_hands(f"{model}/channels{wrong}") == 403
        for file in ("app.py", "voila.json", "voila/templates/panel/static/icon.svg"):
            assert answer(f"{app.address}/voila/files/{file}")[0] == 403
            assert answer(f"{app.address}/voila/static/../../{file}")[0] in (403, 404)
        panel.enter("a blue bird")
        panel.wait_for("a blue bird: 50 images")


@browser.needed
def test_a_visitor_who_does_nothing_stays_connected(app, chromium):
    """Each ping is a look at whether the visitor answered the ones before.

    Tornado takes Jupyter's milliseconds for seconds, and would warn of them in the terminal:
    `voila.json` keeps it from that.
    """
    with browser.open_page(chromium, app.link) as page:
        browser.PanelPage(page).wait_for("a red star: 50 images")
        channels = (
            f"{app.address}/api/kernels/{kernel_id(page)}/channels?{urlsplit(app.link).query}"
        )
        opened = websocket.create_connection(channels.replace("http:", "ws:"))
        pings = 0
        while pings < 4:
            kind, _ = opened.recv_data(control_frame=True)  # it answers pings itself
            assert kind != websocket.ABNF.OPCODE_CLOSE
            pings += kind == websocket.ABNF.OPCODE_PING
        opened.close()


@browser.needed
def test_nobody_else_on_the_machine_can_listen_to_a_kernel(app, chromium):
    with browser.open_page(chromium, app.link) as page, zmq.Context() as context:
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 50 images")
        ports = {p.port for kernel in kernels(app.server).values() for p in listening(kernel)}
        assert len(ports) >= 5
        with context.socket(zmq.SUB) as spy:
            spy.linger = 0
            spy.subscribe(b"")
            for port in ports:
                spy.connect(f"tcp://127.0.0.1:{port}")
            assert not spy.poll(2000)
            panel.enter("a blue bird")
            panel.wait_for("a blue bird: 50 images")
            assert not spy.poll(2000)


@browser.needed
def test_a_visitor_sees_a_sentence_and_the_terminal_the_details(small, chromium, tmp_path):
    with browser.voila_app(tmp_path, small.env, "--profile=demo", "--collection=photos") as (
        link,
        _,
    ):
        with ImageStore(small.data / "milvus.db", "photos") as store:
            store.client.rename_collection("photos", "away")
            try:
                with browser.open_page(chromium, link) as page:
                    page.get_by_text(SORRY).wait_for()
                    shown = page.content()
            finally:
                store.client.rename_collection("away", "photos")
        hidden = (str(small.data), str(ROOT), sys.prefix, "Traceback", "02_ingestion")
        assert not any(word in shown for word in hidden)
        browser.wait_until(lambda: "02_ingestion" in (tmp_path / "server.log").read_text())
        with browser.open_page(chromium, link) as page:
            browser.PanelPage(page).wait_for("a red star: 50 images")


@browser.needed
@pytest.mark.skipif(os.name != "posix", reason="Ctrl+C is another thing there")
def test_the_demo_is_made_ready_and_ctrl_c_ends_it_in_peace(demo_data, chromium, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = environment(
        demo_data(tmp_path / "data"), IMAGE_SEARCH_PROFILE="demo", TMPDIR=str(scratch)
    )
    with (
        browser.voila_app(tmp_path, env) as (link, server),
        browser.open_page(chromium, link) as page,
    ):
        browser.PanelPage(page).wait_for("a red star: 50 images", {"red star"})
        assert len(list(scratch.glob("image-search-*"))) == 1
        family = server.children(recursive=True)
        server.send_signal(signal.SIGINT)
        assert server.wait(browser.PATIENCE) in (0, None)  # None where others have waited for it
    _, alive = psutil.wait_procs(family, browser.PATIENCE)
    assert not alive
    assert list(scratch.glob("image-search-*")) == []  # the visitors' uploads
    log = (tmp_path / "server.log").read_text()
    assert "1,000 images in demo_collection" in log
    assert "Traceback" not in log


@pytest.mark.skipif(os.name != "posix", reason="Ctrl+C is another thing there")
def test_ctrl_c_before_it_is_ready_is_one_line(demo_data, tmp_path):
    env = environment(demo_data(tmp_path / "data"), PYTHONUNBUFFERED="1")
    command = [sys.executable, "-m", "helpers.app", "--profile=demo", "--no-browser"]
    with open(tmp_path / "log", "w") as log:
        started = psutil.Popen(
            command, env=env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    browser.wait_until(lambda: "ingesting" in (tmp_path / "log").read_text())
    os.killpg(started.pid, signal.SIGINT)
    assert started.wait(browser.PATIENCE) == 130
    text = (tmp_path / "log").read_text()
    assert text.endswith("\nInterrupted.\n")
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--collection=fotos"], "no collection 'fotos', or nothing in it; there are: photos"),
        (["--collection=photos", "--model=ViT-Z/99"], "unknown model 'ViT-Z/99'; known: RN50"),
        (["--collection=9"], "use at most 255 letters"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_served(small, options, said):
    done = python("-m", "helpers.app", "--profile=demo", *options, env=small.env)
    assert done.returncode == 2
    assert said in done.stderr
    assert "http://" not in done.stdout
    assert "Traceback" not in done.stderr


def test_in_an_empty_folder_no_collection_is_found_and_nothing_is_downloaded(tmp_path):
    env = environment(tmp_path / "nowhere")
    done = python("-m", "helpers.app", "--collection=photos", env=env)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "The app cannot start: there is no collection 'photos', or nothing in it; there are: none",
    )


def test_a_kernel_without_its_visitor_ends_within_a_minute():
    settings = json.loads((ROOT / "notebooks" / "voila.json").read_text())["MappingKernelManager"]
    # Idle for so long, when it is next looked at; the rest is for ending.
    assert settings["cull_idle_timeout"] + settings["cull_interval"] <= 45
