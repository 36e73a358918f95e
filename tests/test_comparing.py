"""Comparisons: of phrasings with one another, and with what others published."""

import open_clip
import pandas as pd
import pytest

from helpers import ImageStore, ingest
from helpers.evaluation import comparing
from helpers.evaluation.comparing import beside_published, compare, phrasings
from helpers.evaluation.judgements import from_captions, from_csv, from_labels
from helpers.evaluation.measuring import evaluate, zero_shot


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
    monkeypatch.setattr("helpers.evaluation.comparing._PHRASES", 100)
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
    table = pd.read_csv(comparing._FOLDER / "published.csv")
    assert set(table["judged by"]) == {"class folders", "captions"}
    assert table["value"].between(0, 1, inclusive="neither").all()
    assert table["pool"].str[0].str.isdigit().all()
    assert table["source"].isin(["open_clip", "CLIP_benchmark", "OpenAI"]).all()
