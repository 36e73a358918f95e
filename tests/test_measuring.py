"""Evaluations: every query against every image; floors on what the demo promises.

Comparisons: of phrasings with one another, and with what others published.
"""

import json

import numpy as np
import open_clip
import pandas as pd
import pytest

from helpers import ImageStore, ingest, search
from helpers.evaluation import measuring
from helpers.evaluation.judgements import (
    Judgements,
    Pool,
    from_captions,
    from_csv,
    from_labels,
)
from helpers.evaluation.measuring import (
    beside_published,
    compare,
    evaluate,
    phrasings,
    zero_shot,
)
from helpers.evaluation.metrics import measure, rank


class Words:
    """An encoder whose texts are numbers: each its own axis, or with a plus between, several."""

    def encode_texts(self, texts, templates=("{}",)):
        vectors = np.zeros((len(texts), 8), np.float32)
        for row, text in enumerate(texts):
            vectors[row, [int(axis) for axis in text.split("+")]] = 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def judged(relevant: dict[str, list[int]], vectors, source="class folders", **more) -> Judgements:
    """Return judgements of images called 0.jpg, 1.jpg and so on."""
    names = [f"{place}.jpg" for place in range(len(vectors))]
    pool = Pool(names, [""] * len(names), np.asarray(vectors, np.float32), more.pop("folder", None))
    queries = list(relevant)
    places = [np.array(each, int) for each in relevant.values()]
    return Judgements(source, queries, places, more.pop("groups", queries), pool, **more)


def test_the_demo_is_as_good_as_it_promises(demo_store, tiny):
    """Floors: a change that hurts the search turns this red."""
    judgements = from_labels(demo_store)
    evaluation = evaluate(judgements, tiny)
    assert (len(judgements), evaluation.pool) == (100, 1000)
    for metric in ("R-precision", "average precision", "success at 1", "nDCG at 10"):
        assert evaluation.of(metric).low > 0.9, metric
    assert zero_shot(judgements, tiny).of("success at 1").low > 0.9
    worse = evaluate(judgements, tiny, ["a photo that has nothing to do with {}"])
    assert worse.of("average precision").high < 0.9  # so the floors say something


def test_the_captions_of_the_demo_find_their_drawings_both_ways(
    demo_store, demo_images, tiny, tmp_path
):
    table = pd.read_csv(demo_images / "captions.csv").drop_duplicates("caption").iloc[::10]
    lines = [{"file": row.filepath, "captions": [row.caption]} for row in table.itertuples()]
    path = tmp_path / "captions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    judgements = from_captions(demo_store, path)
    assert evaluate(judgements, tiny).of("success at 5").low > 0.8
    turned = zero_shot(judgements, tiny)
    assert (turned.pool, len(turned.values)) == (len(table), len(table))
    assert turned.of("success at 5").low > 0.8


def test_figures_of_a_model_that_knows_nothing_are_at_chance(ingested, encoder):
    table = evaluate(from_labels(ingested), encoder).table()
    assert (table["compared with chance"] == "no better than chance").all()


def test_an_evaluation_ranks_as_search_does(demo_store, tiny):
    judgements = from_labels(demo_store)
    evaluation = evaluate(judgements, tiny)
    for query in (0, 50):
        hits = search(judgements.queries[query], tiny, demo_store, limit=5)
        places = measuring.nearest(evaluation, judgements, query, 5)
        assert [hit.filepath for hit in hits] == [judgements.pool.filepaths[p] for p in places]


def test_figures_are_the_metrics_of_each_query(monkeypatch):
    monkeypatch.setattr(measuring, "_CELLS", 20)  # so that there are several blocks
    vectors = np.random.default_rng(0).standard_normal((9, 8))
    judgements = judged({str(axis): [axis, 8] for axis in range(8)}, vectors)
    values = evaluate(judgements, Words()).values
    for axis in range(8):
        scores = judgements.pool.vectors[:, axis].round(6)
        expected = measure(rank(scores, np.array([axis, 8])), (1, 5, 10))
        assert values.loc[axis, list(expected)].to_dict() == pytest.approx(expected)
    assert list(values["relevant"]) == [2] * 8


def test_copies_tie_although_their_last_bits_differ():
    vectors = [[0.7, 0.7], [0.7000001, 0.7], [0, 1]]
    vectors = np.pad(np.array(vectors, np.float32), ((0, 0), (0, 6)))
    for right in (0, 1):
        evaluation = evaluate(judged({"0": [right], "1": [2]}, vectors), Words())
        assert evaluation.values["success at 1"][0] == 0.5


def test_queries_with_nothing_to_find_do_not_count_and_are_said():
    evaluation = evaluate(judged({"0": [0], "1": [], "2": [2]}, np.eye(8)), Words())
    assert evaluation.of("average precision")[::3] == (1, 2)
    assert evaluation.of("precision at 10")[::3] == (pytest.approx(0.1), 2)
    assert "2 queries, a pool of 8. 1 query has nothing to find" in evaluation._repr_html_()
    for measure_all in (evaluate, zero_shot):
        with pytest.raises(ValueError, match="no query"):
            measure_all(judged({"0": [], "1": []}, np.eye(8)), Words())


def test_the_captions_of_a_photo_are_one_group():
    relevant = {"0": [0], "0+1": [0], "0+2": [0], "3": [3], "4+3": [3], "5": [3]}
    judgements = judged(relevant, np.eye(8), "captions", groups=[0, 0, 0, 3, 3, 3])
    assert evaluate(judgements, Words()).groups == [0, 0, 0, 3, 3, 3]
    turned = zero_shot(judgements, Words())
    assert list(turned.values["relevant"]) == [3, 3]
    assert list(turned.values["success at 1"]) == [1, 1]
    assert turned.groups == [0, 3]


def test_one_query_is_too_few_to_say_anything():
    table = evaluate(judged({"0+1": [0]}, np.eye(8)), Words()).table()
    assert table.loc["average precision", "compared with chance"] == "too few queries"


def test_zero_shot_takes_each_image_for_the_nearest_text(monkeypatch):
    monkeypatch.setattr(measuring, "_CELLS", 8)  # so that there are several blocks
    vectors = np.eye(8)[[0, 0, 1, 2, 2, 3]]
    judgements = judged({"0": [0, 1, 2], "1": [3, 4], "2": [], "3": [5]}, vectors)
    found = zero_shot(judgements, Words())
    assert list(found.values["query"]) == [f"{number}.jpg" for number in range(6)]
    assert list(found.values["success at 1"]) == [1, 1, 0, 0, 0, 1]
    assert list(found.values["own"]) == [0, 0, 0, 1, 1, 3]
    assert list(found.values["taken for"]) == [0, 0, 1, 2, 2, 3]
    assert found.groups == ["0", "0", "0", "1", "1", "3"]
    assert found.table().loc["success at 1", ["mean", "chance"]].to_list() == [0.5, 0.25]
    assert "images to texts, class folders: 6 queries, a pool of 4" in repr(found)
    several = judged({"0": [0], "1": [0], "2": [1], "3": [2]}, np.eye(8), "captions")
    assert zero_shot(several, Words()).chance["success at 1"].mean() == pytest.approx(4 / (3 * 4))


def test_zero_shot_with_ties_is_right_by_chance():
    found = zero_shot(judged({"0": [0], "1": [1]}, np.zeros((2, 8))), Words())
    assert list(found.values["success at 1"]) == [0.5, 0.5]
    assert list(found.values["taken for"]) == [0, 1]


@pytest.fixture(scope="module")
def store(drawings, tiny, tmp_path_factory) -> ImageStore:
    with ImageStore(tmp_path_factory.mktemp("compared") / "milvus.db", "by_tiny") as store:
        ingest(drawings, tiny, store, progress=False)
        yield store


@pytest.fixture(scope="module")
def judgements(store):
    return from_labels(store)


def test_phrasings_suit_what_is_asked(judgements, store, tmp_path):
    assert next(iter(phrasings(judgements))) == "the label alone"
    path = tmp_path / "captions"
    path.write_text(f'{{"file": "{judgements.pool.filepaths[0]}", "captions": ["a star"]}}')
    assert list(phrasings(from_captions(store, path))) == ["as it is", "a photo of {}"]


def test_the_templates_are_clips(judgements):
    ways = phrasings(judgements)
    seven, eighty = (ways[f"CLIP's {number} templates"] for number in ("seven", "eighty"))
    assert [t("{}") for t in open_clip.SIMPLE_IMAGENET_TEMPLATES] == list(seven)
    assert [t("{}") for t in open_clip.OPENAI_IMAGENET_TEMPLATES] == list(eighty)
    assert set(seven) < set(eighty)


def test_very_many_classes_are_not_asked_in_eighty_ways(judgements, monkeypatch):
    monkeypatch.setattr("helpers.evaluation.measuring._PHRASES", 100)
    assert "CLIP's seven templates" in phrasings(judgements)
    assert "CLIP's eighty templates" not in phrasings(judgements)


def test_a_comparison_is_made_query_by_query_with_the_first(judgements, tiny):
    ways = {name: evaluate(judgements, tiny, way) for name, way in phrasings(judgements).items()}
    spoilt = evaluate(judgements, tiny, ["nothing but a purple key, no {}"])
    spoilt.values["R-precision"] = 0.0
    comparison = compare(ways | {"spoilt": spoilt})
    table = comparison.table()
    assert list(table.index) == [*ways, "spoilt"]
    assert "5 queries, a pool of 50 images" in comparison._repr_html_()
    assert "CLIP's eighty templates" in repr(comparison)
    assert table["so it is"].to_list() == ["", *["no difference seen"] * 3, "worse"]
    assert table["difference"].to_list() == ["", "+0.000", "+0.000", "+0.000", "-1.000"]
    assert compare({"spoilt": spoilt} | ways).table()["so it is"].to_list()[1:] == ["better"] * 4


def test_one_query_is_too_few_for_a_comparison(store, tiny, tmp_path):
    path = tmp_path / "captions"
    name = from_labels(store).pool.filepaths[0]
    path.write_text(f'{{"file": "{name}", "captions": ["a blue bird", "a bird"]}}')
    captions = from_captions(store, path)
    evaluation = evaluate(captions, tiny)
    evaluation.values["R-precision"] = 0.4
    verdicts = compare({"one": evaluation, "two": evaluation, "three": evaluation})
    assert verdicts.table()["so it is"].to_list() == ["", *["too few queries"] * 2]


def test_what_cannot_be_compared_is_refused(judgements, tiny, ingested, encoder):
    evaluation = evaluate(judgements, tiny)
    fewer = evaluate(from_labels(ingested, {"red star": "another"}), encoder)
    with pytest.raises(ValueError, match="'b' and 'a' are not of the same queries"):
        compare({"a": evaluation, "b": fewer})


def test_your_figures_stand_beside_published_ones(judgements, tiny, store, tmp_path):
    table = beside_published(judgements, evaluate(judgements, tiny), zero_shot(judgements, tiny))
    assert table.index[0] == "yours, zero-shot accuracy"
    assert table["pool"].to_list()[:2] == ["5 texts, 50 images", "1,000 classes, 50,000 images"]
    assert table["95 % interval"].iloc[0].endswith("to 1.000")
    path = tmp_path / "captions"
    lines = [f'{{"file": "{name}", "captions": ["a"]}}' for name in judgements.pool.filepaths[:4]]
    path.write_text("\n".join(lines))
    captions = from_captions(store, path)
    table = beside_published(captions, evaluate(captions, tiny), zero_shot(captions, tiny))
    mine = table[table["source"] == "here"]
    assert list(mine.index[-1:]) == ["yours, image to text, success at 1"]
    assert mine["pool"].to_list() == ["50 images"] * 3 + ["4 texts, 4 images"]
    assert table.loc["COCO, text to image, success at 1", "value"] == 0.304
    path.write_text(f"query,filepath,relevant\na star,{judgements.pool.filepaths[0]},1\n")
    judged = from_csv(store, path)
    table = beside_published(judged, evaluate(judged, tiny), zero_shot(judged, tiny))
    assert table["source"].to_list() == ["here"] * 4


def test_every_published_figure_has_a_pool_and_a_source():
    table = pd.read_csv(measuring._FOLDER / "published.csv")
    assert set(table["judged by"]) == {"class folders", "captions"}
    assert table["value"].between(0, 1, inclusive="neither").all()
    assert table["pool"].str[0].str.isdigit().all()
    assert table["source"].isin(["open_clip", "CLIP_benchmark", "OpenAI"]).all()
