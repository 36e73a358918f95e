"""`make app`: the search panel alone, as a page, in a real Chromium."""

import contextlib

import psutil
from PIL import Image

from .support import browser
from .support.processes import SCREENSHOTS, environment

pytestmark = browser.needed


def kernels(server: psutil.Process) -> int:
    """Count the kernels that run; one that has just ended has no command line any more."""
    count = 0
    for child in server.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            count += "ipykernel_launcher" in child.cmdline()
    return count


def test_the_app_is_the_panel_for_this_machine_only_and_its_kernels_end(
    demo_data, tmp_path, chromium
):
    """A page that is loaded again leaves a kernel behind, which ends when nobody is there."""
    env = environment(demo_data(tmp_path / "data"), IMAGE_SEARCH_PROFILE="demo")
    quick = ["MappingKernelManager.cull_idle_timeout=20", "MappingKernelManager.cull_interval=1"]
    with (
        browser.voila_app(tmp_path, env, *(f"--{option}" for option in quick)) as (address, server),
        browser.open_page(chromium, address) as page,
    ):
        browser.PanelPage(page).wait_for("a red star: 10 images", {"red star"})
        page.reload()
        panel = browser.PanelPage(page)
        panel.wait_for("a red star: 10 images", {"red star"})
        panel.enter("two blue birds")
        panel.wait_for("two blue birds: 10 images", {"two blue birds"})
        Image.new("RGB", (2400, 2400), "red").save(tmp_path / "large.bmp")
        panel.upload(tmp_path / "large.bmp")
        panel.wait_for("large.bmp: 10 images")
        page.screenshot(path=SCREENSHOTS / "app.png")
        sockets = [s for s in server.net_connections("tcp") if s.status == psutil.CONN_LISTEN]
        assert {s.laddr.ip for s in sockets} == {"127.0.0.1"}
        browser.wait_until(lambda: kernels(server) == 1)
        panel.enter("a blue bird")  # the kernel of the open page goes on
        panel.wait_for("a blue bird")


def test_an_error_is_on_the_page(tmp_path, chromium):
    env = environment(tmp_path, IMAGE_SEARCH_PROFILE="demo", MODEL_NAME="ViT-Z/99")
    with (
        browser.voila_app(tmp_path, env) as (address, _),
        browser.open_page(chromium, address) as page,
    ):
        page.get_by_text("unknown model 'ViT-Z/99'").first.wait_for()
