"""Measure where the tiny CLIP's matches begin, and write that beside the checkpoint.

This writes two files. `queries.csv` has texts that the demo's collection shows or does not show, in
two lists with no text in common. `tiny-clip.calibration.json` has the threshold that follows from
the first list ("set"). The second ("judge") says how good it is: the figures are printed, and
`runs/calibration.png` shows the margins. Run this from the project's root after each new training::

    python data/demo/calibrate.py
"""

import itertools
import json
import random
import tempfile
from pathlib import Path

import pandas as pd
from sklearn.metrics import roc_auc_score
from train_tiny_clip import queries, strange_words

from helpers import ClipEncoder, ImageStore, draw_demo_images, ingest, search
from helpers.demo import drawings
from helpers.demo.drawings import COLOURS, OBJECTS, phrase, plural, with_article
from helpers.evaluation.calibration import pick_threshold
from helpers.query.chance import calibration_file
from helpers.settings import PROFILES, resolve_path
from helpers.views.charts import margin_histograms

__all__ = ["write_queries"]

QUERIES = Path(drawings.__file__).with_name("queries.csv")
NAME = PROFILES["demo"]["collection_name"]
EACH = 66
"""How many texts of each absent kind are in each list; twice as many texts are present."""


def write_queries(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return texts that a collection of drawings shows, and texts that it does not.

    Parameters
    ----------
    table : pandas.DataFrame
        As `helpers.demo.drawings.draw_demo_images` returns it.
    seed : int

    Returns
    -------
    pandas.DataFrame
        `text`; `kind`: "present", "absent class" (a known object and a known colour that no
        drawing shows together, in any number) or "unseen word" (left out of the model's
        training); `part`: "set" or "judge".
    """
    chance = random.Random(seed)
    present = [chance.sample(list(texts), min(75, len(texts))) for texts in queries(table).values()]
    shown = set(zip(table["object"], table["colour"], strict=True))
    pairs = [(thing, colour) for thing in OBJECTS for colour in COLOURS]
    words = chance.sample(strange_words()[1], 3 * EACH)
    kinds = {
        "present": [*itertools.chain(*present)],
        "absent class": [_drawn(*pair, chance) for pair in pairs if pair not in shown],
        "unseen word": [_spoken(word, chance.choice(words), chance) for word in words],
    }
    rows = []
    for kind, texts in kinds.items():
        each = 2 * EACH if kind == "present" else EACH
        chosen = chance.sample(texts, 2 * each)
        rows += [
            (text, kind, "judge" if place < each else "set") for place, text in enumerate(chosen)
        ]
    return pd.DataFrame(rows, columns=["text", "kind", "part"])


def _drawn(thing: str, colour: str, chance: random.Random) -> str:
    single = with_article(phrase(thing, colour, 1))
    several = phrase(thing, colour, chance.choice([2, 3, 4]))
    return chance.choice([single, phrase(thing, colour, 1), f"{colour} {plural(thing)}", several])


def _spoken(word: str, other: str, chance: random.Random) -> str:
    single = with_article(word)
    return chance.choice([word, single, f"{word} {other}", f"a photo of {single}"])


def main() -> None:
    """Write the queries and the threshold, and say how good it is."""
    encoder = ClipEncoder("tiny", device="cpu")
    calibration_file(encoder).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        table = write_queries(draw_demo_images(Path(folder) / "images"))
        with ImageStore(Path(folder) / "milvus.db", NAME) as store:
            ingest(Path(folder) / "images", encoder, store)
            table["margin"] = [search(text, encoder, store).margin for text in table["text"]]
    table["found"] = table["kind"] == "present"
    chosen = table[table["part"] == "set"]
    threshold = pick_threshold(chosen["found"], chosen["margin"])
    calibration = {"digest": encoder.digest, "collection_name": NAME}
    calibration["threshold"] = round(threshold, 3)
    calibration_file(encoder).write_text(json.dumps(calibration, indent=2) + "\n", encoding="utf-8")
    table[["text", "kind", "part"]].to_csv(QUERIES, index=False)

    print(f"threshold {threshold:.3f}, set on {len(chosen)} texts")
    judged = table[table["part"] == "judge"]
    for kind, rows in judged.groupby("kind"):
        missed = (rows["margin"] >= threshold) != rows["found"]
        line = f"{kind:13} {len(rows):4} texts, {missed.mean():6.1%} judged wrongly"
        if kind != "present":
            both = judged[judged["found"] | (judged["kind"] == kind)]
            line += f", area under ROC {roc_auc_score(both['found'], both['margin']):.4f}"
        print(line)
        print(
            "   ",
            ", ".join(f"{t!r} {m:.2f}" for t, m in rows.loc[missed, ["text", "margin"]].values),
        )
    picture = resolve_path("runs") / "calibration.png"
    picture.parent.mkdir(exist_ok=True)
    margin_histograms(judged, threshold).savefig(picture)
    print(f"the margins as histograms: {picture}")


if __name__ == "__main__":
    main()
