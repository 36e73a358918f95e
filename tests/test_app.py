"""`make app`: the search panel alone, as a page, in a real Chromium."""

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import websocket
import zmq
from PIL import Image

from helpers import ImageStore, ingest

from .support import browser
from .support.processes import ROOT, SCREENSHOTS, environment, python

# Until its page is connected a kernel counts as idle, and Jupyter waits a minute for an answer that
# may have got lost.
QUICK = ["--MappingKernelManager.cull_idle_timeout=75", "--MappingKernelManager.cull_interval=1"]
SOON = """const later = setTimeout;
setTimeout = (call, time, ...more) => later(call, time == 20000 ? 0 : time, ...more);"""
SORRY = "The photos cannot be searched at the moment"
# What runs before anything else: a kernel waits while there is a file, or dies of another. If there
# is a third, what it shows is read late, as on a busy machine.
IN_KERNELS = """
import os, sys, time
if os.path.exists({gate!r} + "-dead") and "ipykernel_launcher" in sys.orig_argv:
    os.remove({gate!r} + "-dead")
    os._exit(1)
if "helpers.app" in sys.orig_argv:
    import asyncio
    from nbclient import NotebookClient
    read = NotebookClient._async_poll_output_msg
    async def read_late(*arguments):
        if os.path.exists({gate!r} + "-late"):
            os.remove({gate!r} + "-late")
            await asyncio.sleep(6)
        return await read(*arguments)
    NotebookClient._async_poll_output_msg = read_late
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
    with ImageStore(data / "milvus.db", "photos") as store:
        ingest(drawings, tiny, store, progress=False)
    return types.SimpleNamespace(
        data=data, env=environment(data), options=["--profile=demo", "--collection=photos"]
    )


@dataclass
class App:
    """The app, as it is served, and the files by which tests see and hold it."""

    log: Path
    server: psutil.Process
    gate: Path
    scratch: Path

    @property
    def link(self) -> str:
        """The link that lets one more browser in."""
        return browser.newest_link(self.log)

    @property
    def token(self) -> str:
        return self.link.split("token=")[1]

    @property
    def address(self) -> str:
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.link))

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        """Return the answer to a request as it is, redirect or not; its body is `text`."""
        connection = http.client.HTTPConnection(urlsplit(self.link).netloc)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        connection.close()
        return answer


NAMED = ["--host=Photos.example", "--host=192.0.2.7"]


@pytest.fixture(scope="module")
def app(small, tmp_path_factory) -> Iterator[App]:
    """The app, for all tests: one visitor does not disturb another. Its kernels end quickly."""
    folder = tmp_path_factory.mktemp("app")
    gate = folder / "gate"
    (folder / "sitecustomize.py").write_text(IN_KERNELS.format(gate=str(gate)))
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    scratch = folder / "scratch"
    scratch.mkdir()
    env = small.env | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TMPDIR": str(scratch)}
    with browser.voila_app(folder, env, *small.options, *QUICK, *NAMED) as (log, server):
        yield App(log, server, gate, scratch)


@pytest.fixture(scope="module")
def shared(app, chromium) -> Iterator[browser.Shared]:
    page = browser.Shared(lambda: browser.open_page(chromium, app.link))
    yield page
    page.close()


@pytest.fixture
def visit(shared):
    """The page of one visitor, who only looks around: that of all tests that do no more."""
    browser.PanelPage(shared.opened()).status.filter(has_text=": 50 images").wait_for()
    return shared.opened()


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


def cookie(page) -> str:
    """Return the cookies of a page as a request sends them."""
    return "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())


def shakes_hands(address: str, cookies: str = "") -> int:
    """Return the status with which a websocket is answered: 101 is a yes."""
    try:
        opened = websocket.create_connection(address.replace("http:", "ws:"), cookie=cookies)
        opened.close()
        return opened.status
    except websocket.WebSocketBadStatusException as error:
        return error.status_code


@browser.needed
def test_the_app_is_the_panel_for_this_machine_only_and_its_kernels_end(app, chromium, tmp_path):
    """A page that is loaded again leaves a kernel behind, which ends when nobody is there."""
    before = kernels(app.server)
    with browser.open_page(chromium, app.link) as page:
        browser.PanelPage(page).wait_for("blue bird: 50 images")
        assert "token" not in page.url
        page.reload()
        panel = browser.PanelPage(page)
        panel.wait_for("blue bird: 50 images")
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
def test_the_page_has_a_name_an_icon_the_visitors_colours_and_the_whole_window(app, chromium):
    """Whatever template and theme of Voila somebody asks for."""
    context = chromium.new_context(color_scheme="light", viewport={"width": 1300, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * browser.PATIENCE)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{app.link}&template=classic&theme=dark")
    browser.PanelPage(page).wait_for("blue bird: 50 images")
    assert page.title() == page.get_by_role("heading").inner_text() == "Image search"
    icon = page.locator("link[rel=icon]").evaluate("link => link.href")
    assert page.request.get(icon).status == 200
    assert all(url.startswith((app.address, "data:", "blob:")) for url in asked)
    assert page.locator(".jp-Cell, .jp-OutputPrompt, .jp-Collapser").count() == 0
    assert page.locator("main").bounding_box()["width"] > 1260
    for colours in ("light", "dark"):
        page.emulate_media(color_scheme=colours)
        browser.wait_until(lambda colours=colours: (brightness(page) > 384) == (colours == "light"))
        page.screenshot(path=SCREENSHOTS / f"app-{colours}.png")
    context.close()


def brightness(page) -> int:
    """Return the sum of red, green and blue of the page's ground."""
    ground = page.evaluate("getComputedStyle(document.querySelector('#main')).backgroundColor")
    return sum(map(int, ground[4:-1].split(",")))


@browser.needed
def test_the_page_says_what_it_waits_for(app, chromium):
    app.gate.touch()
    try:
        with browser.open_page(chromium, "about:blank") as page:
            page.add_init_script(SOON)
            page.goto(app.link, wait_until="commit")
            page.get_by_text("Loading the model …").wait_for()
            assert page.get_by_text("Loading widget").is_hidden()
            page.get_by_text("longer than usual").wait_for()
            page.screenshot(path=SCREENSHOTS / "app-waiting.png")
            app.gate.unlink()
            browser.PanelPage(page).wait_for("blue bird: 50 images")
            said = page.locator(".said").filter(visible=True).all_inner_texts()
            assert [text.partition(":")[0] for text in said] == ["This is the demo"]
    finally:
        app.gate.unlink(missing_ok=True)


@browser.needed
def test_what_the_kernel_shows_may_come_late(app, chromium):
    """Jupyter waits 4 seconds for it by default, and the page then has nothing to show, ever."""
    late = app.gate.with_name("gate-late")
    late.touch()
    with browser.open_page(chromium, app.link) as page:
        browser.PanelPage(page).wait_for("blue bird: 50 images")
        assert not late.exists()


@browser.needed
def test_a_kernel_that_dies_at_its_start_is_followed_by_another(app, chromium):
    """Voila says nothing about it; the page would wait for ever."""
    dead = app.gate.with_name("gate-dead")
    dead.touch()
    with browser.open_page(chromium, app.link) as page:
        page.get_by_text("Starting …").wait_for()
        browser.wait_until(lambda: not dead.exists())
        browser.PanelPage(page).wait_for("blue bird: 50 images")


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
        panel.wait_for("blue bird: 50 images")
        for text in ("a star", "a fish"):
            panel.enter(text)
            panel.wait_for(f"{text}: 50 images")
        page.evaluate("history.back(), setTimeout(() => history.back(), 50)")
        panel.wait_for("blue bird: 50 images")
        assert panel.query.input_value() == "blue bird"
        for text in ("a star", "a fish"):  # nothing was lost of what comes after
            page.go_forward()
            panel.wait_for(f"{text}: 50 images")


@browser.needed
def test_nothing_keeps_people_from_using_the_app(visit):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(visit).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []


@browser.needed
@pytest.mark.parametrize(
    ("width", "height", "share", "columns"),
    [(360, 740, 0.5, 3), (1280, 720, 0.65, 4), (1920, 1080, 0.65, 7)],
)
def test_pictures_fill_the_first_screen(visit, width, height, share, columns):
    visit.set_viewport_size({"width": width, "height": height})
    visit.evaluate("window.scrollTo(0, 0)")
    browser.wait_until(lambda: browser.filled(visit)[0] > share)
    browser.wait_until(lambda: browser.filled(visit)[1] >= columns)
    visit.screenshot(path=SCREENSHOTS / f"app-{width}.png")
    visit.set_viewport_size(browser.WINDOW)


@browser.needed
def test_whatever_happens_to_one_visitor_another_goes_on(app, visit, chromium):
    mine = set(kernels(app.server))
    with browser.open_page(chromium, app.link) as other:
        browser.PanelPage(other).wait_for("blue bird: 50 images")
        for pid, kernel in kernels(app.server).items():
            if pid not in mine:
                kernel.kill()
        answers(visit, "a blue fish")
        assert visit.get_by_role("alert").is_hidden()
        other.get_by_text("The search behind this page has ended").wait_for()
        other.get_by_role("link", name="Load the page again").click()
        browser.PanelPage(other).wait_for("blue bird: 50 images")


@browser.needed
def test_a_page_that_missed_its_panel_loads_itself_again_once(app, chromium):
    """So does one that asked its kernel for the widgets while that made them."""
    with browser.open_page(chromium, app.link) as page:
        browser.PanelPage(page).status.filter(has_text=": 50 images").wait_for()
        missed = "<div class=jupyter-widgets>Error displaying widget: model not found</div>"
        show = f"document.querySelector('main').insertAdjacentHTML('beforeend', '{missed}')"
        with page.expect_navigation():
            page.evaluate(show)
        browser.PanelPage(page).status.filter(has_text=": 50 images").wait_for()
        kind = "performance.getEntriesByType('navigation')[0].type"
        assert page.evaluate(kind) == "reload"


def answers(page, text: str) -> None:
    """Ask a question, another one in each test, and wait for its photos."""
    panel = browser.PanelPage(page)
    panel.enter(text)
    panel.wait_for(f"{text}: 50 images")


@browser.needed
def test_a_page_says_what_has_become_of_its_search_and_what_helps(app, visit):
    """Its kernel has ended, or there is another app at the port, or another program, or nothing."""
    model = f"/api/kernels/{kernel_id(visit)}"
    gone = app.ask(f"{model[:-4]}0000", Cookie=cookie(visit))
    restarted = app.ask(model, Cookie=f"{cookie(visit).partition('=')[0]}=before")
    assert (gone.status, restarted.status) == (404, 403)
    cases = [
        ("has ended. Load the page again to go on", gone.status, gone.text),
        ("started again: open it by its new link", restarted.status, restarted.text),
        ("does not answer: it has ended, or the connection is gone", 404, "Not Found"),
        ("does not answer: it has ended, or the connection is gone", 200, "Welcome"),
        ("does not answer: it has ended, or the connection is gone", 502, ""),
        ("does not answer: it has ended, or the connection is gone", None, ""),
    ]
    for said, status, body in cases:
        visit.route(f"**{model}", partial(give, status, body))
        visit.get_by_role("alert").filter(has_text=said).wait_for()
        assert visit.get_by_role("alert").locator("span:visible").count() == 1
        visit.unroute(f"**{model}")
    visit.get_by_role("alert").wait_for(state="hidden")
    visit.screenshot(path=SCREENSHOTS / "app-lost.png")


def give(status: int | None, body: str, route) -> None:
    """Answer for the app, or let nobody answer."""
    if status:
        route.fulfill(status=status, body=body)
    else:
        route.abort()


@browser.needed
def test_whoever_was_let_in_before_a_restart_reads_that_there_is_a_new_link(app, visit):
    name = cookie(visit).partition("=")[0]
    for path in ("/", "/?query_text=a+fish", "/app.py"):
        refused = app.ask(path, Cookie=f"{name}=2|1:0|10:1700000000|8:username|4:e30=|0")
        assert (refused.status, "now opens by a new link" in refused.text) == (403, True)
        assert not refused.getheader("Set-Cookie")
    others = app.ask("/", Cookie="username-127-0-0-1-1=of-another-port")
    assert "opens by its link" in others.text
    lost = app.ask("/voila/files/nowhere", Cookie=cookie(visit))
    assert "There is nothing at this address" in lost.text


@browser.needed
def test_without_the_token_nobody_sees_or_ends_anything(app, visit):
    kernel = kernel_id(visit)
    model = f"/api/kernels/{kernel}"
    channels = f"{app.address}{model}/channels"
    assert app.ask(model, Cookie=cookie(visit)).status == 200
    assert shakes_hands(channels, cookie(visit)) == 101
    wrongs = ("", "?token=", f"?token={app.token[:-1]}", "?token=undefined")
    for wrong in wrongs:
        for path in ("/", "/app.py", "/api/kernels", "/voila/render/app.py"):
            refused = app.ask(path + wrong)
            assert refused.status == 403
            assert "opens by its link" in refused.text
            assert not refused.getheader("Set-Cookie")
    for wrong in (*wrongs, f"?token={app.token}"):  # a link opens the page, nothing else
        for method in ("GET", "DELETE"):
            assert app.ask(model + wrong, method).status == 403
        assert app.ask(f"/voila/api/shutdown/{kernel}{wrong}", "POST").status == 403
        assert shakes_hands(channels + wrong) == 403
    answers(visit, "a red bird")


ODD = ["/login", "/login?next=/", "/logout", "/favicon.ico", "/nowhere"]
ODD += ["/voila/static/../x", "/voila/static/../../app.py", "/voila/static/%2e%2e/x"]
ODD += ["/voila/static/nowhere.js", "/voila/static/", "/voila/templates/x", "/voila/templates/"]
ODD += ["/voila/templates/panel/static/../../x", "/voila/templates/panel/index.html.j2"]
ODD += ["/voila/templates/panel/static/icon.svg", "/voila/labextensions/x"]
ODD += ["/voila/api/themes/x", "/voila/files/app.py", "/voila/files/voila.json"]


@browser.needed
def test_without_the_link_every_address_says_how_to_get_in_and_nothing_fails(app):
    before, token = app.log.read_text(), app.token
    for path in ODD:
        for more in ("", f"{'&' if '?' in path else '?'}token={token[:-1]}"):
            for headers in ({}, {"Referer": f"{app.address}/?token={token[:-1]}"}):
                refused = app.ask(path + more, **headers)
                assert (refused.status, "opens by its link" in refused.text) == (403, True)
                assert not refused.getheader("Set-Cookie")
    assert app.ask("/", "POST").status == app.ask("/login", "POST").status == 403
    assert app.log.read_text() == before


@browser.needed
def test_a_link_is_answered_with_a_cookie_and_its_address_without_the_token(app):
    question = "query_text=two+birds&labels=a%26b&labels=%C3%A9"
    addresses = {
        f"/?token={{}}&{question}": f"./?{question}",
        f"/app.py?{question}&token={{}}&token={{}}": f"./app.py?{question}",
        "/?to%6ben={}": "./",
        "//example.org/?token={}": "./",
        "//example.org?token={}": "./example.org",
    }
    for asked, expected in addresses.items():
        token = app.token
        answer = app.ask(asked.format(token, token))
        assert (answer.status, answer.getheader("Location"), answer.text) == (302, expected, "")
        own, _, options = answer.getheader("Set-Cookie").partition(";")
        assert "httponly" in options.lower()
        assert app.token != token
        assert app.ask(f"/?token={token}").status == 403
        again = app.ask(f"/?token={token}", Cookie=own)
        assert (again.status, again.getheader("Location")) == (302, "./")


@browser.needed
def test_what_a_browser_keeps_of_the_link_opens_nothing(app, chromium, tmp_path):
    """Chromium keeps every address of a chain of redirects, and of pages that are not found."""
    profile = chromium.browser_type.launch_persistent_context(
        tmp_path, executable_path=browser.find_chromium(), args=browser.ARGUMENTS
    )
    page = profile.new_page()
    page.set_default_timeout(1000 * browser.PATIENCE)
    page.goto(f"{app.link}&query_text=two+birds")
    browser.PanelPage(page).wait_for("two birds: 50 images")
    page.goto("about:blank")
    history = tmp_path / "Default" / "History"

    def kept() -> dict[str, str]:
        with contextlib.closing(sqlite3.connect(f"file:{history}?immutable=1", uri=True)) as read:
            return dict(read.execute("select url, title from urls"))

    profile.close()  # then it is all written
    assert kept()[f"{app.address}/?query_text=two+birds"] == "Image search"
    for url in kept():
        assert app.ask(url.removeprefix(app.address)).status == 403
    live = app.token.encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if live in path.read_bytes()]


@browser.needed
def test_only_names_of_this_machine_are_answered_and_those_that_were_named(app):
    port = urlsplit(app.link).port
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "localhost.evil.example",
        "192.0.2.8",
        "0",
    ):
        link = app.link
        for path in (f"/?token={app.token}", "/api/kernels", "/voila/static/voila.js"):
            refused = app.ask(path, Host=host)
            assert (refused.status, "opens by its link" in refused.text) == (403, True)
        assert app.link == link  # it still opens
    for host in (
        "localhost",
        "127.0.0.1",
        "[::1]",
        "photos.example",
        "PHOTOS.example",
        "192.0.2.7",
    ):
        assert app.ask(f"/?token={app.token}", Host=f"{host}:{port}").status == 302
        assert app.ask(f"/?token={app.token}", Host=host).status == 302


@browser.needed
def test_a_visitor_who_does_nothing_stays_connected(app, visit):
    """Each ping is a look at whether the visitor answered the ones before.

    Tornado takes Jupyter's milliseconds for seconds, and would warn of them in the terminal:
    `voila.json` keeps it from that.
    """
    channels = f"{app.address}/api/kernels/{kernel_id(visit)}/channels".replace("http:", "ws:")
    opened = websocket.create_connection(channels, cookie=cookie(visit))
    pings = 0
    while pings < 4:
        kind, _ = opened.recv_data(control_frame=True)  # it answers pings itself
        assert kind != websocket.ABNF.OPCODE_CLOSE
        pings += kind == websocket.ABNF.OPCODE_PING
    opened.close()


@browser.needed
def test_nobody_else_on_the_machine_can_listen_to_a_kernel(app, visit):
    with zmq.Context() as context:
        ports = {p.port for kernel in kernels(app.server).values() for p in listening(kernel)}
        assert len(ports) >= 5
        with context.socket(zmq.SUB) as spy:
            spy.linger = 0
            spy.subscribe(b"")
            for port in ports:
                spy.connect(f"tcp://127.0.0.1:{port}")
            assert not spy.poll(2000)
            answers(visit, "a green bird")
            assert not spy.poll(2000)


@browser.needed
def test_a_visitor_sees_a_sentence_and_the_terminal_the_details(app, small, shared, chromium):
    shared.close()  # whoever holds the collection would be disturbed
    with ImageStore(small.data / "milvus.db", "photos") as store:
        store.client.rename_collection("photos", "away")
        try:
            with browser.open_page(chromium, app.link) as page:
                page.get_by_text(SORRY).wait_for()
                shown = page.content()
        finally:
            store.client.rename_collection("away", "photos")
    hidden = (str(small.data), str(ROOT), sys.prefix, "Traceback", "02_ingestion")
    assert not any(word in shown for word in hidden)
    browser.wait_until(lambda: "02_ingestion" in app.log.read_text())
    with browser.open_page(chromium, app.link) as page:
        browser.PanelPage(page).wait_for("blue bird: 50 images")


@browser.needed
@pytest.mark.skipif(os.name != "posix", reason="Ctrl+C is another thing there")
def test_the_demo_is_made_ready_and_ctrl_c_ends_it_in_peace(demo_data, chromium, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = environment(
        demo_data(tmp_path / "data"), IMAGE_SEARCH_PROFILE="demo", TMPDIR=str(scratch)
    )
    with (
        browser.voila_app(tmp_path, env) as (log, server),
        browser.open_page(chromium, browser.newest_link(log)) as page,
    ):
        browser.PanelPage(page).wait_for("black apple: 50 images", {"black apple"})
        assert page.get_by_text("This is the demo: drawings").is_visible()
        assert len(list(scratch.glob("image-search-*"))) == 1
        family = server.children(recursive=True)
        server.send_signal(signal.SIGINT)
        assert server.wait(browser.PATIENCE) in (0, None)  # None where others have waited for it
    _, alive = psutil.wait_procs(family, browser.PATIENCE)
    assert not alive
    assert list(scratch.glob("image-search-*")) == []  # the visitors' uploads
    printed = log.read_text()
    assert "1,000 images in demo_collection" in printed
    assert "Traceback" not in printed


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
        (["--collection=photos", "--model=ViT-Z/99"], "model 'tiny', not by 'ViT-Z/99': their"),
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
        "The app cannot start: there is no collection 'photos'; there are: none. Check the name, "
        "or name the folder to fill it with as image_dir",
    )


def test_a_kernel_without_its_visitor_ends_within_two_minutes():
    settings = json.loads((ROOT / "notebooks" / "voila.json").read_text())["MappingKernelManager"]
    # Idle for so long, when it is next looked at; the rest is for ending. Jupyter waits 60 seconds
    # for the first answer, and until then it looks as if nobody were there.
    assert settings["cull_idle_timeout"] + settings["cull_interval"] <= 105
    assert settings["cull_idle_timeout"] > 60
