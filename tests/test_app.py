"""`make app`: the search panel alone, as a page, in a real Chromium."""

import psutil
from PIL import Image
from test_browser import ROOT, browser, environment, pytestmark  # noqa: F401


def test_the_app_is_the_panel_and_for_this_machine_only(tmp_path):
    env = environment(tmp_path, IMAGE_SEARCH_PROFILE="demo")
    with (
        browser.voila_app(tmp_path, env) as (address, process),
        browser.open_page(address) as page,
    ):
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 10 images")
        panel.enter("two blue birds")
        panel.wait_for("two blue birds: 10 images")
        assert panel.labels() == ["two blue birds"] * 10
        Image.new("RGB", (2400, 2400), "red").save(tmp_path / "large.bmp")
        panel.upload(tmp_path / "large.bmp")
        panel.wait_for("large.bmp: 10 images")
        (ROOT / "runs").mkdir(exist_ok=True)
        page.screenshot(path=ROOT / "runs" / "app.png")
        sockets = [s for s in process.net_connections("tcp") if s.status == psutil.CONN_LISTEN]
        assert {s.laddr.ip for s in sockets} == {"127.0.0.1"}


def test_an_error_is_on_the_page(tmp_path):
    env = environment(tmp_path, IMAGE_SEARCH_PROFILE="demo", MODEL_NAME="ViT-Z/99")
    with browser.voila_app(tmp_path, env) as (address, _), browser.open_page(address) as page:
        page.get_by_text("unknown model 'ViT-Z/99'").first.wait_for()
