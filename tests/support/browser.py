"""A real JupyterLab, and a real Voila, in a real Chromium.

Nothing here is in a hurry: it waits for whatever should appear, even on the slowest machine.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from .processes import ROOT

REQUIRED = os.environ.get("REQUIRE_BROWSER")  # as in CI: then nothing is skipped
if not REQUIRED:
    pytest.importorskip("playwright")
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

PATIENCE = 300.0  # seconds until what does not appear counts as missing
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WINDOW = {"width": 1300, "height": 1250}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # else only cells in sight exist
    "apputils-extension/notification": {"fetchNews": "false", "doNotDisturbMode": True},
    "docmanager-extension/plugin": {"autosave": False},  # each page begins with what is on disk
}
NOTEBOOK = "jupyterapp.shell.currentWidget"
IN_SIGHT_ARE_DRAWN = """() => {
    const view = document.querySelector('.search-photos .view').getBoundingClientRect();
    return [...document.querySelectorAll('.photos .photo')].every(photo => {
        const { top, bottom } = photo.getBoundingClientRect();
        const image = photo.querySelector('img');
        return bottom < Math.max(view.top, 0) || top > Math.min(view.bottom, innerHeight)
            || photo.classList.contains('unreadable')
            || (image.complete && image.naturalWidth > 0);
    });
}"""
FILLED = """() => {
    const view = document.querySelector('.search-photos .view').getBoundingClientRect();
    const photos = [...document.querySelectorAll('.photos .photo')];
    const boxes = photos.map(photo => photo.getBoundingClientRect());
    const low = Math.min(view.bottom, innerHeight);
    const areas = boxes.map(({left, right, top, bottom}) =>
        (right - left) * Math.max(0, Math.min(bottom, low) - Math.max(top, view.top)));
    return [
        areas.reduce((sum, area) => sum + area, 0) / (innerWidth * innerHeight),
        boxes.filter(({top}) => Math.abs(top - boxes[0].top) < 2).length,
    ];
}"""
READY = f"""() => {{
    const session = window.jupyterapp && {NOTEBOOK}?.sessionContext?.session;
    return session?.kernel?.status == 'idle' && session.kernel.connectionStatus == 'connected';
}}"""


def find_chromium() -> str | None:
    """Return the system's Chromium, or the one that `playwright install chromium` fetched."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


needed = pytest.mark.skipif(
    not REQUIRED and not find_chromium(),
    reason="no Chromium here: apt install chromium, or playwright install chromium",
)


def wait_until(true: Callable[[], object]) -> None:
    """Wait until this is true; AssertionError if it never is."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@contextlib.contextmanager
def jupyter_lab(
    folder: Path, env: dict[str, str], parameters: dict[str, str] | None = None
) -> Iterator[str]:
    """Serve copies of the notebooks (JupyterLab saves what it runs); yield the address."""
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    for path in (folder / "notebooks").glob("*.ipynb"):
        notebook = load_notebook_node(str(path))
        nbformat.write(parameterize_notebook(notebook, parameters or {}), path)
    for name, setting in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(setting))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--notebook-dir={folder}", "--expose-app-in-browser"]
    command += ["--JupyterNotebookApp.expose_app_in_browser=True"]
    command += ["--ServerApp.token=", "--ServerApp.password="]
    command += [f"--LabApp.user_settings_dir={folder / 'settings'}"]
    env = env | {"JUPYTER_CONFIG_PATH": str(ROOT / ".jupyter")}  # as `make lab` does
    with _serving(command, env, folder) as (address, _):
        yield address


def newest_link(log: Path) -> str:
    """Return the link that lets one more browser into the app, from what that printed."""
    return re.findall(r"http://\S+\?token=\S+", log.read_text())[-1]


@contextlib.contextmanager
def voila_app(
    folder: Path, env: dict[str, str], *options: str
) -> Iterator[tuple[Path, psutil.Process]]:
    """Serve the app as `make app` does; yield the file of what it prints, and its process."""
    command = [sys.executable, "-m", "helpers.app", "--no-browser", *options]
    with _serving(command, env, folder, cwd=ROOT) as (address, server):
        log = folder / "server.log"
        wait_until(lambda: "Ctrl+C" in log.read_text())
        assert newest_link(log).startswith(address)
        yield log, server


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, with no window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@contextlib.contextmanager
def open_page(browser: Browser, address: str) -> Iterator[Page]:
    """Open a page that shares nothing with others; JupyterLab's dialogs are closed."""
    page = browser.new_page(viewport=WINDOW)
    page.set_default_timeout(1000 * PATIENCE)
    page.add_locator_handler(
        page.locator(".jp-Dialog"), lambda dialog: dialog.locator("button").last.click()
    )
    page.goto(address, wait_until="commit")
    yield page
    page.context.close()


class Shared:
    """A page that tests share, as it takes a browser, and a kernel, longest to open one.

    `opened` opens it again after `close`, with which a test goes that must be alone.
    """

    def __init__(self, opens: Callable[[], contextlib.AbstractContextManager[Page]]) -> None:
        self._opens = opens
        self._open = contextlib.ExitStack()
        self._page: Page | None = None

    def opened(self) -> Page:
        self._page = self._page or self._open.enter_context(self._opens())
        return self._page

    def close(self) -> None:
        self._open.close()
        self._page = None


@contextlib.contextmanager
def open_notebook(browser: Browser, address: str, name: str) -> Iterator[Page]:
    """Open a notebook and wait for its kernel: a new one, or the one that ran it before."""
    with open_page(browser, f"{address}/lab/tree/notebooks/{name}.ipynb?reset") as page:
        page.wait_for_function(READY)
        yield page


def show_notebook(page: Page, path: str) -> None:
    """Open a notebook beside what the page shows, and bring it to the front."""
    page.wait_for_function("window.jupyterapp?.commands.hasCommand('docmanager:open')")
    page.evaluate("() => jupyterapp.restored.then(() => true)")
    opened = f"""async path => {{
        await jupyterapp.commands.execute('docmanager:open', {{path}});
        return {NOTEBOOK}?.context?.path == path && {NOTEBOOK}.context.isReady;
    }}"""
    wait_until(lambda: page.evaluate(opened, path))  # another tab may still come in front of it


def run_all_cells(page: Page) -> None:
    """Run the whole notebook, to its end."""
    _run(page, "run-all-cells")


def run_cell(page: Page, begins: str) -> None:
    """Run the cell that begins with a text, to its end."""
    page.evaluate(
        f"begins => {{ const cells = {NOTEBOOK}.content; cells.activeCellIndex = cells.widgets"
        ".findIndex(cell => cell.model.sharedModel.source.startsWith(begins)) }",
        begins,
    )
    _run(page, "run-cell")


def _run(page: Page, command: str) -> None:
    page.evaluate(
        "command => { window.ran = false; jupyterapp.commands.execute(command)"
        ".then(() => { window.ran = true }) }",
        f"notebook:{command}",
    )
    page.wait_for_function("window.ran")


@contextlib.contextmanager
def _serving(
    command: list[str], env: dict[str, str], folder: Path, cwd: Path | None = None
) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(folder / "server.log", "w") as log:
        command = [*command, f"--port={port}"]
        server = subprocess.Popen(command, env=env, cwd=cwd, stdout=log, stderr=log)
    try:
        wait_until(lambda: server.poll() is not None or _answers(port))
        assert server.poll() is None, (folder / "server.log").read_text()
        yield f"http://127.0.0.1:{port}", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        return True
    return False


def broken_pictures(page) -> list[str]:
    """Return the addresses of pictures that are broken; wait for those still loading."""
    pictures = "[...document.querySelectorAll('.jp-Notebook img[src]')]"
    page.wait_for_function(f"{pictures}.every(image => image.complete)")
    return page.evaluate(f"{pictures}.filter(image => !image.naturalWidth).map(image => image.src)")


def filled(page: Page) -> tuple[float, int]:
    """Return the share of the window that photos fill, and how many are in the first row."""
    return tuple(page.evaluate(FILLED))


class PanelPage:
    """The search panel as a person uses it: by what is on the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.query = page.get_by_placeholder("what to look for")
        self.root = page.locator(".search-panel", has=self.query).first
        self.photos = self.root.locator(".photos > li")
        self.chips = self.root.locator(".chips > li")
        self.status = self.root.locator(".status")
        self.message = self.root.locator("span[style*='border-left']")
        self.code = self.root.locator("code").first
        self.large = self.root.locator("dialog")

    def enter(self, text: str) -> None:
        """Type into the search box, and press Enter."""
        self.query.fill(text)
        self.query.press("Enter")

    def type(self, placeholder: str, text: str) -> None:
        """Type into one of the folded boxes, and press Enter."""
        self.unfold()
        box = self.root.get_by_placeholder(placeholder)
        box.fill(text)
        box.press("Enter")

    def unfold(self) -> None:
        """Show what is folded away."""
        if not self.root.get_by_placeholder("words to stay away from").is_visible():
            self.root.get_by_role("button", name="options").click()

    def upload(self, path: Path) -> None:
        """Choose a file as the image to be like."""
        with self.page.expect_file_chooser() as chooser:
            self.root.get_by_role("button", name="+ image").click()
        chooser.value.set_files(path)

    def mark(self, place: int, name: str) -> None:
        """Click one of the buttons on a photo, which show when one points at it."""
        self.photos.nth(place).hover()
        self.photos.nth(place).locator(f"[data-act={name}]").click()

    def wait_for(self, status: str, first: set[str] | None = None) -> None:
        """Wait until the panel says this, all photos in sight are there, and these labels first."""
        self.page.locator("body").wait_for(state="attached")
        try:
            self.status.filter(has_text=status).wait_for()
        except Exception as error:
            error.add_note(self._said())
            raise
        number = int(re.search(r": (\d+) images?", self.status.inner_text())[1])
        wait_until(lambda: self.photos.count() >= number)
        wait_until(lambda: self.page.evaluate(IN_SIGHT_ARE_DRAWN))
        if first is not None:
            wait_until(lambda: set(self.labels()[:10]) == first)

    def _said(self) -> str:
        return f"The page says: {self.page.inner_text('body')[:1000]!r}"

    def names(self) -> list[str]:
        return self.photos.locator("p > span").all_inner_texts()

    def labels(self) -> list[str]:
        """Return the labels of the demo's photos, by their names."""
        return [name.rsplit("-", 1)[0].replace("-", " ") for name in self.names()]

    def scores(self) -> list[float]:
        return [float(each.split()[0]) for each in self.photos.locator("small").all_text_contents()]

    def keys(self, *names: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        for name in names:
            self.page.keyboard.press(name)

    def focused(self) -> str:
        """Return what the focus is on: its label, or the name of its photo."""
        return self.page.evaluate(
            "() => document.activeElement.querySelector('img')?.alt"
            " || document.activeElement.ariaLabel || document.activeElement.textContent"
        )
