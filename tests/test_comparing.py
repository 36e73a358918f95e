"""Comparisons: phrasings, models, precisions, an index, and what others published."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from helpers import ClipEncoder, ImageStore, ingest
from helpers.evaluation.comparing import (
    beside_published,
    compare,
    index_on_trial,
    other_models,
    other_precision,
    phrasings,
)
from helpers.evaluation.judgements import from_captions, from_labels
from helpers.evaluation.measuring import evaluate, zero_shot
from helpers.evaluation.references import EIGHTY


@pytest.fixture(scope="module")
def store(drawings, tiny, tmp_path_factory) -> ImageStore:
    with ImageStore(tmp_path_factory.mktemp("compared") / "milvus.db", "by_tiny") as store:
        ingest(drawings, tiny, store, progress=False)
        yield store


@pytest.fixture(scope="module")
def judgements(store):
    return from_labels(store)


def test_phrasings_suit_what_is_asked(judgements, store, tmp_path):
    assert phrasings(judgements)["CLIP's eighty templates"] == EIGHTY
    path = tmp_path / "captions"
    path.write_text(f'{{"file": "{judgements.pool.filepaths[0]}", "captions": ["a star"]}}')
    assert list(phrasings(from_captions(store, path))) == ["as it is", "a photo of {}"]


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


def test_other_models_of_the_same_images_are_found(store, judgements, checkpoint, drawings):
    assert other_models(store, judgements) == {}
    random = ClipEncoder(checkpoint)
    with ImageStore(store._connection.uri, "by_random") as other:
        ingest(drawings, random, other, progress=False)
        found = other_models(store, judgements)
        assert list(found) == ["random.pt (by_random)"]
        (evaluation,) = found.values()
        direct = evaluate(from_labels(other), random)
        assert evaluation.of("average precision") == direct.of("average precision")
        ingest(drawings, random, other, recreate=True, limit=20, progress=False)
        with pytest.warns(UserWarning, match=r"by_random\) is left out: .* holds other images"):
            assert other_models(store, judgements) == {}
        other.drop()


def refuse(*_):
    raise ValueError("filled by another model")


def test_another_model_that_is_gone_is_left_out(store, judgements, checkpoint, drawings, tmp_path):
    moved = shutil.copy(checkpoint, tmp_path / "moved.pt")
    with ImageStore(store._connection.uri, "by_moved") as other:
        ingest(drawings, ClipEncoder(moved), other, progress=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ImageStore, "check_model", refuse)
            with pytest.warns(UserWarning, match="is left out: filled by another model"):
                assert other_models(store, judgements) == {}
        (tmp_path / "moved.pt").unlink()
        with pytest.warns(UserWarning, match="moved.pt .* is left out: there is no checkpoint"):
            assert other_models(store, judgements) == {}
        other.drop()


def test_another_precision_encodes_again(judgements, tiny, tmp_path, monkeypatch):
    fast = "helpers.evaluation.comparing.has_fast_bfloat16"
    monkeypatch.setattr(fast, lambda: False)
    assert other_precision(tiny, judgements) == {}
    monkeypatch.setattr(fast, lambda: True)
    (name,) = found = other_precision(tiny, judgements)
    assert name == "bfloat16, not float32"
    assert found[name].of("average precision").mean > 0.9
    assert np.abs(found[name].vectors - evaluate(judgements, tiny).vectors).max() > 1e-5
    gone = replace(judgements, pool=replace(judgements.pool, folder=tmp_path))
    assert other_precision(tiny, gone) == {}
    for path in gone.pool.paths(range(len(gone.pool))):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no image")
    with pytest.warns(UserWarning, match="bfloat16 is left out: .* cannot be read as an image"):
        assert other_precision(tiny, gone) == {}


def test_an_index_that_finds_all_is_as_good_and_one_that_does_not_is_not(
    judgements, tiny, monkeypatch
):
    evaluation = evaluate(judgements, tiny)
    (found,) = index_on_trial(evaluation, judgements).values()
    assert found.of("R-precision").mean == pytest.approx(evaluation.of("R-precision").mean, abs=0.1)
    nothing = np.full((len(judgements), 10), -1)
    monkeypatch.setattr("helpers.evaluation.comparing.search_by_index", lambda *_: nothing)
    (missed,) = index_on_trial(evaluation, judgements).values()
    assert missed.of("R-precision").mean == pytest.approx(10 / 50)  # by chance


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
