"""A real JupyterLab in a real Chromium, on copies of the notebooks."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from playwright.sync_api import Page, TimeoutError, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # else cells out of sight are no cells
    "apputils-extension/notification": {"fetchNews": "false"},  # else it asks
}


def find_chromium() -> str | None:
    """Find a Chromium of the system, or the one that `playwright install chromium` fetches."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


@contextlib.contextmanager
def jupyter_lab(
    folder: Path, env: dict[str, str], parameters: dict[str, str] | None = None
) -> Iterator[str]:
    """Serve copies of the notebooks in a folder, since JupyterLab saves what it runs."""
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    for path in (folder / "notebooks").glob("*.ipynb"):
        notebook = load_notebook_node(str(path))
        nbformat.write(parameterize_notebook(notebook, parameters or {}), path)
    for name, setting in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(setting))
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--notebook-dir={folder}"]
    command += ["--ServerApp.token=", "--ServerApp.password="]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command += [f"--ServerApp.tornado_settings={re.search('^LARGE := (.+)', makefile, re.M)[1]}"]
    command += [f"--LabApp.user_settings_dir={folder / 'settings'}"]
    with _serving(command, env, folder) as (address, _):
        yield address


@contextlib.contextmanager
def voila_app(folder: Path, env: dict[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the app as `make app` does; give its address and its process."""
    command = [sys.executable, "-m", "voila", "app.py", "--no-browser"]
    with _serving(command, env, folder, cwd=ROOT / "notebooks") as served:
        yield served


@contextlib.contextmanager
def open_page(address: str) -> Iterator[Page]:
    """Open a page in a fresh Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1300, "height": 1250})
        page.goto(address)
        yield page
        browser.close()


@contextlib.contextmanager
def run_notebook(address: str, name: str) -> Iterator[Page]:
    """Open a notebook, run all its cells, and give the page."""
    with open_page(f"{address}/lab/tree/notebooks/{name}.ipynb?reset") as page:
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
        _run_all_cells(page)
        yield page


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
        _wait_for(port, server, folder / "server.log")
        yield f"http://127.0.0.1:{port}", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(port: int, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{server.args} did not start:\n{log.read_text()}")
        time.sleep(0.2)


def _run_all_cells(page: Page, seconds: float = 180) -> None:
    """Click until the first cell waits or has run: just opened, JupyterLab may ignore it."""
    prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
    for _ in range(10):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        with contextlib.suppress(TimeoutError):
            page.wait_for_function(f"{prompts}[0].textContent.trim() != '[ ]:'", timeout=3000)
            break
    all_have_numbers = f"{prompts}.every(prompt => /^\\[\\d+\\]:$/.test(prompt.textContent.trim()))"
    page.wait_for_function(all_have_numbers, timeout=1000 * seconds)


class PanelPage:
    """The search panel of 03_search as a person uses it: by what stands on the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.query = page.get_by_placeholder("what to look for")
        self.unlike = page.get_by_placeholder("stay away from")
        self.root = page.locator(".widget-vbox", has=self.query).first
        self.tiles = self.root.locator(".widget-gridbox .widget-vbox")
        self.status = self.root.locator("small")
        self.message = self.root.locator("span[style*='border-left']")
        self.code = self.root.locator("code").first

    def enter(self, text: str) -> None:
        """Type into the search box, and press Enter."""
        self.query.fill(text)
        self.query.press("Enter")

    def upload(self, path: Path) -> None:
        """Choose a file as the image to be like."""
        with self.page.expect_file_chooser() as chooser:
            self.root.get_by_role("button", name="Image").click()
        chooser.value.set_files(path)

    def wait_for(self, status: str) -> None:
        """Wait until the panel says so of the pictures that it shows, and they are drawn."""
        self.status.filter(has_text=status).wait_for(timeout=20_000)
        drawn = "tiles => tiles.every(tile => tile.complete && tile.naturalWidth > 0)"
        assert self.tiles.locator("img").evaluate_all(drawn)

    def captions(self) -> list[str]:
        return self.tiles.locator("figcaption").all_inner_texts()

    def labels(self) -> list[str]:
        return [caption.splitlines()[-1] for caption in self.captions()]

    def scores(self) -> list[float]:
        return [float(caption.split()[0]) for caption in self.captions()]

    def picture(self, place: int) -> str:
        """Give what a picture shows, as its data address."""
        return self.tiles.locator("img").nth(place).get_attribute("src")
