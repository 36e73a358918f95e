"""From Enter to pictures: how long a search takes in the panel, in a real browser. `make latency`.

The demo's 1,000 drawings, JupyterLab and Chromium on this machine, the demo's tiny model and a
ViT-B/32 of random weights. Each query is new, and so are most of its thumbnails. Figures that
cannot be are not printed, see `possible`.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pandas as pd

from helpers.demo.drawings import COLOURS, OBJECTS, with_article

from ..support import browser, models
from ..support.processes import ROOT, environment
from . import machine, possible

ROUNDED = 1  # milliseconds by which a part may be less than the panel says, and its neighbour, too
REST = 500  # milliseconds between queries: it takes longer to type one
STOPWATCH = """text => new Promise(resolve => {
    const shown = () => {
        const view = document.querySelector('.search-photos .view').getBoundingClientRect();
        const images = [...document.querySelectorAll('.photos .photo img')];
        const status = document.querySelector('.search-photos .status');
        const seen = images.filter(image =>
            image.getBoundingClientRect().top <= Math.min(view.bottom, innerHeight));
        window.pictures = seen.length;
        return status.textContent.startsWith(text + ':')
            && seen.every(image => image.complete && image.naturalWidth > 0);
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
    texts = things[:: max(1, len(things) // (rounds + 1))][: rounds + 1]
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
    return table.rename(columns={"query": "text", "in": "in the kernel"}).assign(asked=texts[1:])


def ask(panel: browser.PanelPage, text: str) -> dict[str, float]:
    """Type a text, press Enter, and return how long it took until its pictures were there."""
    panel.page.wait_for_timeout(REST)
    panel.query.fill(text)
    panel.page.evaluate(STOPWATCH, text)
    panel.query.press("Enter")
    panel.page.wait_for_function("window.spent", polling=100)
    parts = re.findall(r"(query|Milvus|in) ([\d.]+)", panel.status.inner_text())
    spent = panel.page.evaluate("window.spent")
    pictures = panel.page.evaluate("window.pictures")
    return {"enter to pictures": spent, "pictures": pictures} | {
        name: float(value) for name, value in parts
    }


def impossible(name: str, table: pd.DataFrame, rounds: int) -> Iterator[str]:
    """Complain about times of a model, a row a query, that cannot be."""
    yield from possible.worked(f"{name}: new queries", table["asked"].nunique(), rounds)
    for row in table.to_dict("records"):
        asked = f"{name}, {row['asked']!r}:"
        whole, kernel = row["enter to pictures"], row["in the kernel"]
        yield from possible.positive(f"{asked} pictures", row["pictures"])
        yield from possible.positive(f"{asked} enter to pictures", whole)
        for part in ("in the kernel", "text", "Milvus"):
            yield from possible.within(f"{asked} {part}", row[part], 0)
        yield from possible.no_shorter(f"{asked} all", whole, "the kernel", kernel - ROUNDED)
        parts = row["text"] + row["Milvus"] - ROUNDED
        yield from possible.no_shorter(f"{asked} the kernel", kernel, "text and Milvus", parts)


def medians(tables: dict[str, pd.DataFrame], rounds: int) -> pd.DataFrame:
    """Return the medians and the 95th percentiles of all models; refuse what cannot be."""
    found = [impossible(name, table, rounds) for name, table in tables.items()]
    possible.refuse(complaint for each in found for complaint in each)
    numbers = {name: table.drop(columns="asked") for name, table in tables.items()}
    figures = pd.concat({name: table.quantile([0.5, 0.95]) for name, table in numbers.items()})
    figures.index.names = ["model", "quantile"]
    return figures


def as_markdown(figures: pd.DataFrame) -> str:
    """Return the medians as in README.md."""
    columns = ["enter to pictures", "in the kernel", "text", "Milvus"]
    lines = [
        "| model | enter to pictures | of that in the kernel | text | Milvus |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in figures.xs(0.5, level="quantile").iterrows():
        lines.append(f"| {name} | {' | '.join(f'{row[column]:.0f}' for column in columns)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure both models, and print and keep the medians and the 95th percentiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="queries of each model")
    rounds, where = parser.parse_args().rounds, machine.heading()
    with tempfile.TemporaryDirectory() as scratch:
        vit = models.save_random_clip(Path(scratch) / "random-vit-b-32.pt", models.VIT_B_32)
        vit_name = "ViT-B/32, random weights"
        tables = {"the demo's": measure("tiny", rounds), vit_name: measure(str(vit), rounds)}
    figures = medians(tables, rounds)
    print(f"\n{where}: milliseconds, {rounds} queries each\n\n{figures.round(1)}\n")
    print(as_markdown(figures))
    (ROOT / "runs").mkdir(exist_ok=True)
    report = json.loads(figures.reset_index().to_json(orient="records"))
    (ROOT / "runs" / "latency.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
