"""From Enter to pictures: how long a search takes in the panel, in a real browser. `make latency`.

The demo's 1,000 drawings, JupyterLab and Chromium on this machine, the demo's tiny model and a
ViT-B/32 of random weights. Each query is new, and so are most of its thumbnails.
"""

import argparse
import json
import os
import re
import tempfile
from itertools import product
from pathlib import Path

import pandas as pd

from helpers.demo.drawings import COLOURS, OBJECTS, with_article

from ..support import browser, models
from ..support.processes import ROOT, environment

REST = 500  # milliseconds between queries: it takes longer to type one
STOPWATCH = """text => new Promise(resolve => {
    const shown = () => {
        const view = document.querySelector('.search-photos .view').getBoundingClientRect();
        const images = [...document.querySelectorAll('.photos .photo img')];
        const status = document.querySelector('.search-photos .status');
        return status.textContent.startsWith(text + ':') && images.every(image =>
            image.getBoundingClientRect().top > Math.min(view.bottom, innerHeight)
            || (image.complete && image.naturalWidth > 0));
    };
    document.addEventListener('keydown', event => {
        const started = performance.now();
        const look = () => shown()
            ? requestAnimationFrame(() => { window.spent = performance.now() - started; })
            : setTimeout(look, 1);
        look();
    }, {once: true, capture: true});
    window.spent = null;
    resolve();
})"""


def measure(model_name: str, rounds: int) -> pd.DataFrame:
    """Return milliseconds for so many queries: in all, and what the panel says of the parts."""
    things = [with_article(f"{colour} {name}") for colour, name in product(COLOURS, OBJECTS)]
    texts = things[:: len(things) // (rounds + 1)][: rounds + 1]
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder) / "data", IMAGE_SEARCH_PROFILE="demo")
        with (
            browser.jupyter_lab(Path(folder), env, {"model_name": model_name}) as address,
            browser.chromium() as chromium,
            browser.open_notebook(chromium, address, "03_search") as page,
        ):
            browser.run_all_cells(page)
            panel = browser.PanelPage(page)
            table = pd.DataFrame([ask(panel, text) for text in texts][1:])  # the first warms up
    return table.rename(columns={"query": "text", "in": "in the kernel"})


def ask(panel: browser.PanelPage, text: str) -> dict[str, float]:
    """Type a text, press Enter, and return how long it took until its pictures were there."""
    panel.page.wait_for_timeout(REST)
    panel.query.fill(text)
    panel.page.evaluate(STOPWATCH, text)
    panel.query.press("Enter")
    panel.page.wait_for_function("window.spent", polling=100)
    parts = re.findall(r"(query|Milvus|in) ([\d.]+)", panel.status.inner_text())
    spent = panel.page.evaluate("window.spent")
    return {"enter to pictures": spent} | {name: float(value) for name, value in parts}


def main() -> None:
    """Measure both models, and print and keep the medians and the 95th percentiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="queries of each model")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        vit = models.save_random_clip(Path(scratch) / "random-vit-b-32.pt", models.VIT_B_32)
        tables = {"tiny": measure("tiny", rounds), "ViT-B/32": measure(str(vit), rounds)}
    figures = pd.concat({name: table.quantile([0.5, 0.95]) for name, table in tables.items()})
    figures.index.names = ["model", "quantile"]
    print(f"\nmilliseconds, {rounds} queries each, {os.cpu_count()} cores\n\n{figures.round(1)}")
    (ROOT / "runs").mkdir(exist_ok=True)
    report = json.loads(figures.reset_index().to_json(orient="records"))
    (ROOT / "runs" / "latency.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
