"""Where matches begin: measured on one half, judged on the other, kept with the collection."""

import json
import types
import zlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers import ImageStore, calibrate, draw_demo_images, ingest, search
from helpers.encoding import unit_vectors
from helpers.evaluation.calibration import pick_threshold
from helpers.evaluation.judgements import (
    BY_HAND,
    CAPTIONS,
    LABELS,
    Judgements,
    NothingJudgedError,
    Pool,
    from_captions,
    from_csv,
    from_labels,
)

from .support.rows import row


class RandomEncoder:
    """A model that knows nothing: any text gets a random vector, each time the same one."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def encode_texts(self, texts, templates=("{}",)):
        draws = [np.random.default_rng([self.seed, zlib.crc32(text.encode())]) for text in texts]
        return unit_vectors(np.array([draw.standard_normal(32) for draw in draws], np.float32))

    def common_words(self) -> list[str]:
        return [f"word {number}" for number in range(200)]


class Remembers(SimpleNamespace):
    """A collection that only remembers a calibration."""

    way = types.MappingProxyType({})

    def check_model(self, encoder) -> None:
        pass

    def keep_calibration(self, calibration) -> None:
        self.calibration = dict(calibration)


def random_pool(images: int, seed: int) -> Pool:
    vectors = np.random.default_rng(seed).standard_normal((images, 32)).astype(np.float32)
    names = [f"{number}.jpg" for number in range(images)]
    return Pool(names, [""] * images, unit_vectors(vectors), None)


def random_classes(classes: int, each: int, seed: int, source: str = LABELS) -> Judgements:
    """Return classes, or captions, with images at random."""
    places = np.random.default_rng(seed).permutation(classes * each).reshape(classes, each)
    texts = [f"text {number}" for number in range(classes)]
    return Judgements(source, texts, list(places), texts, random_pool(classes * each, seed))


def random_judgements(judge, seed: int) -> tuple[Judgements, RandomEncoder]:
    """Return what `judge` says of 80 queries: it gets a query's number, images and a generator.

    The images are the places of all 600, the nearest first.
    """
    encoder, pool = RandomEncoder(seed), random_pool(600, seed)
    texts, chance = [f"text {number}" for number in range(80)], np.random.default_rng(seed)
    nearest = np.argsort(-(encoder.encode_texts(texts) @ pool.vectors.T), axis=1)
    pairs = [judge(number, places, chance) for number, places in enumerate(nearest)]
    relevant, wrong = zip(*pairs, strict=True)
    return Judgements(BY_HAND, texts, relevant, texts, pool, wrong), encoder


def split(places: np.ndarray, right: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    return places[:right], places[right : right + wrong]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Drawings of 24 classes."""
    folder = tmp_path_factory.mktemp("classes") / "images"
    draw_demo_images(folder, n=240, seed=7)
    return folder


@pytest.fixture
def store(images, tiny, store) -> ImageStore:
    ingest(images, tiny, store, progress=False)
    return store


def test_a_collection_that_nobody_measured_gets_its_verdict(store, tiny):
    assert search("a zebra on a train", tiny, store).matches is None
    made = calibrate(tiny, store)
    assert made.refusal == ""
    assert (made.source, made.images, made.templates) == ("class folders", 240, ["{}"])
    assert search("a zebra on a train", tiny, store).matches is False
    label = store.labels()[0]
    assert search(label, tiny, store).matches is True
    assert search(label, tiny, store).threshold == pytest.approx(made.threshold, abs=1e-3)


def test_the_verdict_is_there_for_whoever_opens_the_collection_next(store, tiny):
    made = calibrate(tiny, store)
    with ImageStore(store._connection.uri, store.collection_name) as again:
        assert again.calibration["threshold"] == round(made.threshold, 3)
        assert search("a zebra on a train", tiny, again).matches is False


def test_it_holds_for_the_phrasings_it_was_measured_with(store, tiny):
    phrased = ["a photo of {}", "a picture of {}"]
    calibrate(tiny, store, templates=phrased)
    assert search("a zebra", tiny, store).matches is None
    assert search("a zebra", tiny, store, templates=phrased).matches is False


def test_the_margins_are_those_of_search(store, tiny):
    """But for the ten of 240 images that are left out at random."""
    made = calibrate(tiny, store, keep=False)
    present = made.margins[made.margins["kind"] == "present"]
    assert len(present) == 24
    for query, margin in zip(present["query"], present["margin"], strict=True):
        assert search(query, tiny, store).margin == pytest.approx(margin, abs=0.15)


def test_what_is_not_shown_is_as_if_the_class_had_never_been_there(store, tiny, images, tmp_path):
    made = calibrate(tiny, store, keep=False)
    absent = made.margins[made.margins["kind"] == "absent"].set_index("query")["margin"]
    label = store.labels()[3]
    with ImageStore(tmp_path / "without.db") as without:
        ingest(images, tiny, without, progress=False)
        ids = [
            hit["id"] for hit in without.search(np.eye(tiny.dim)[0], 20, 0, f'label == "{label}"')
        ]
        without.delete(ids)
        assert without.count() == 230
        assert search(label, tiny, without).margin == pytest.approx(absent[label], abs=0.01)


def test_the_judging_half_has_no_part_in_the_choice(store, tiny):
    made = calibrate(tiny, store, keep=False)
    chosen = made.margins[made.margins["part"] == "set"]
    assert not set(chosen["query"]) & set(made.judged["query"])
    assert made.threshold == pick_threshold(chosen["kind"] == "present", chosen["margin"])
    wrong = made.judged[made.judged["kind"] == "absent"]["margin"] >= made.threshold
    assert made.false_alarms.mean == wrong.mean()
    assert (made.area.n, made.missed.n, made.false_alarms.n) == (24, 12, 12)
    assert made.spread.low <= made.threshold <= made.spread.high
    table = made.table()
    assert list(table["margins"]) == [24, 24, 12, 12, 24]
    assert table["value"].iloc[-1] == made.errors.mean == made.missed.mean + made.false_alarms.mean
    assert "Calibration with class folders, 240 images" in made._repr_html_()


def test_an_ingestion_says_that_a_collection_outgrew_its_calibration(images, tiny, tmp_path):
    with ImageStore(tmp_path / "grows.db") as grows:
        assert ingest(images, tiny, grows, limit=100, progress=False).note == ""
        grows.keep_calibration({"threshold": 3.0, "templates": ["{}"], "images": 100})
        report = ingest(images, tiny, grows, limit=150, progress=False)
        assert report.note == ""
        report = ingest(images, tiny, grows, progress=False)
        assert "measured with 100 images, and there are 240 now" in repr(report)
        assert "run 07_no_match again" in report._repr_html_()
        ingest(images, tiny, grows, recreate=True, progress=False)
        assert grows.calibration == {}


def test_too_few_queries_are_refused_and_nothing_is_kept(drawings, tiny, tmp_path):
    with ImageStore(tmp_path / "few.db") as few:
        ingest(drawings, tiny, few, progress=False)
        made = calibrate(tiny, few)
        assert made.threshold is None
        assert "the halves have 2 and 3 that images show, and 2 and 3 that none shows" in repr(made)
        assert few.calibration == {}
        assert "still holds" not in repr(made)
        few.keep_calibration({"threshold": 3.21, "templates": ["{}"], "errors": 0.1})
        assert "The threshold of 3.2 still holds, which was measured" in repr(calibrate(tiny, few))
        few.keep_calibration({})
        assert len(made.judged) > 0
        assert made.table().empty
        assert search("a zebra", tiny, few).matches is None


def test_five_classes_are_enough_with_the_captions_of_their_images(drawings, tiny, tmp_path):
    table = pd.read_csv(drawings / "captions.csv")
    lines = [{"file": each.filepath, "captions": [each.caption]} for each in table.itertuples()]
    path = tmp_path / "captions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    with ImageStore(tmp_path / "few.db") as few:
        ingest(drawings, tiny, few, progress=False)
        made = calibrate(tiny, few, from_captions(few, path))
        assert made.area.low > 0.7
        assert search("a zebra on a train", tiny, few).matches is False


def test_margins_that_tell_nothing_are_refused(images, encoder, tmp_path):
    with ImageStore(tmp_path / "random.db") as random:
        ingest(images, encoder, random, progress=False)
        random.keep_calibration({"threshold": 3.0, "templates": ["{}"]})
        made = calibrate(encoder, random)
        assert made.threshold is None
        assert "where a coin has 1 and the interval has to lie below 0.8" in made.refusal
        assert "both errors together, where a coin has 1" in repr(made)
        assert made.area.holds(0.5)
        assert made.errors.holds(1)
        assert not made.kept
        assert random.calibration["threshold"] == 3.0  # what was there stays


@pytest.mark.parametrize(
    ("classes", "each", "source"),
    [
        (100, 1, LABELS),
        (1000, 1, LABELS),
        (5000, 1, LABELS),
        (100, 10, LABELS),
        (1000, 1, CAPTIONS),
    ],
    ids=str,
)
def test_of_forty_random_collections_none_keeps_a_threshold(classes, each, source):
    areas = []
    for seed in range(8):
        collection = Remembers(calibration={})
        judgements = random_classes(classes, each, seed, source)
        made = calibrate(RandomEncoder(seed), collection, judgements)
        assert (made.threshold, made.kept, collection.calibration) == (None, False, {})
        assert "a threshold's two errors together are" in made.refusal
        assert made.errors.holds(1)
        assert made.area.low <= made.area.mean <= made.area.high
        areas.append(made.area.mean)
    assert np.mean(areas) == pytest.approx(0.5, abs=0.02)
    assert min(areas) < 0.5  # else it is above by construction


@pytest.mark.parametrize(
    "judge",
    [
        lambda number, near, chance: split(chance.permutation(near), 1, 10),
        lambda number, near, chance: split(chance.permutation(near), 180, 420),
        lambda number, near, chance: split(chance.permutation(near[:10]), 1, 9),
        lambda number, near, chance: split(chance.permutation(near[:10]), 5, 5),
        lambda number, near, chance: split(chance.permutation(near[:10]), 9, 1),
        lambda number, near, chance: split(chance.permutation(near), 1, 3 * (number % 2)),
        lambda number, near, chance: split(
            chance.permutation(near), *((0, 2), (1, 20))[number % 2]
        ),
        lambda number, near, chance: split(chance.permutation(near), 3 * (number % 2), 0),
    ],
    ids=[
        "one right, ten wrong",
        "many right",
        "of the first ten one is right",
        "of the first ten five",
        "of the first ten nine",
        "every second without wrong ones",
        "every second without right ones",
        "some shown, some not",
    ],
)
def test_judging_at_random_keeps_no_threshold(judge):
    for seed in range(3):
        collection = Remembers(calibration={})
        judgements, encoder = random_judgements(judge, seed)
        assert calibrate(encoder, collection, judgements).threshold is None
        assert collection.calibration == {}


def test_a_query_says_nothing_of_what_is_not_shown_if_something_nearer_was_not_judged(tiny):
    def second(number, near, chance):
        return (near[:1], near[2:9]) if number % 2 else (near[:0], near[1:9])

    judgements, encoder = random_judgements(second, 0)
    made = calibrate(encoder, Remembers(calibration={}), judgements)
    assert set(made.margins["kind"]) == {"present"}
    judgements, encoder = random_judgements(lambda number, near, chance: (near[:1], near[1:9]), 0)
    made = calibrate(encoder, Remembers(calibration={}), judgements)
    assert list(made.margins["kind"].value_counts()) == [80, 80]


def test_a_threshold_that_was_kept_without_its_errors_is_none(store, tiny):
    coin = {"threshold": 1.0, "templates": ["{}"], "images": 240, "source": LABELS, "area": 0.5005}
    store.keep_calibration(coin)
    found = search("qwertyuiop", tiny, store)
    assert (found.matches, found.threshold, found.verdict, found.note) == (None, None, "", "")
    store.keep_calibration(coin | {"errors": 0.9})
    assert search("qwertyuiop", tiny, store).matches is True
    store.keep_calibration(coin)
    made = calibrate(tiny, store)
    assert made.kept
    assert search("a zebra on a train", tiny, store).matches is False


@pytest.mark.parametrize("errors", [{}, {"errors": 0.5}])
def test_where_a_threshold_is_refused_one_of_before_still_holds(errors):
    before = {"threshold": 1.0, "templates": ["{}"], **errors}
    collection = Remembers(calibration=before)
    made = calibrate(RandomEncoder(0), collection, random_classes(100, 1, 0))
    assert made.threshold is None
    assert ("still holds" in made.note) == bool(errors)
    assert collection.calibration == before


def test_what_was_refused_was_not_kept_and_what_was_not_kept_says_so(store, tiny):
    assert not calibrate(tiny, store, keep=False).kept
    made = calibrate(tiny, store)
    assert made.kept
    assert store.calibration["errors"] == round(made.errors.mean, 3)
    assert made.errors.high < 0.8


def test_judged_queries_compare_with_what_was_judged_to_be_wrong(store, tiny, tmp_path):
    judgements = from_labels(store)
    names, rows = judgements.pool.filepaths, ["query,filepath,relevant"]
    for query, places in zip(judgements.queries, judgements.relevant, strict=True):
        rows += [f"{query},{names[place]},1" for place in places]
        hits = search(query, tiny, store, limit=20)
        rows += [f"{query},{hit.filepath},0" for hit in hits if hit.label != query]
    rows.append("a zebra on a train,,0")
    path = tmp_path / "judged.csv"
    path.write_text("\n".join(rows))
    judged = calibrate(tiny, store, from_csv(store, path), keep=False).margins
    folders = calibrate(tiny, store, keep=False).margins
    for kind, apart in (("present", 0.3), ("absent", 0.01)):  # others are left out at random
        ours = judged[judged["kind"] == kind].set_index("query")["margin"]
        theirs = folders[folders["kind"] == kind].set_index("query")["margin"]
        assert ours[theirs.index].to_numpy() == pytest.approx(theirs.to_numpy(), abs=apart)
    zebra = judged[judged["query"] == "a zebra on a train"]
    assert list(zebra["kind"]) == ["absent"]
    assert zebra["margin"].item() == pytest.approx(
        search("a zebra on a train", tiny, store).margin, abs=0.01
    )


def test_a_caption_of_several_photos_is_asked_once(store, tiny, tmp_path):
    names = from_labels(store).pool.filepaths
    lines = [{"file": name, "captions": ["the same words"]} for name in names[:5]]
    path = tmp_path / "captions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    made = calibrate(tiny, store, from_captions(store, path))
    assert list(made.margins["query"]) == ["the same words"] * 2


@pytest.mark.parametrize("seed", range(5))
def test_both_halves_have_as_many_of_each_kind(store, tiny, tmp_path, seed):
    names, rows = from_labels(store).pool.filepaths, ["query,filepath,relevant"]
    rows += [f"star {number},{names[number]},1" for number in range(20)]
    rows += [f"zebra {number},," + "0" for number in range(20)]
    path = tmp_path / "judged.csv"
    path.write_text("\n".join(rows))
    made = calibrate(tiny, store, from_csv(store, path), keep=False, seed=seed)
    counts = made.margins.groupby(["part", "kind"]).size()
    assert counts.to_list() == [10] * 4
    assert "too few" not in made.refusal


def test_photos_that_share_a_caption_are_in_one_half(store, tiny, tmp_path):
    names, lines = from_labels(store).pool.filepaths, []
    for pair in range(60):
        shared = f"pair {pair}"
        lines.append({"file": names[2 * pair], "captions": [shared]})
        lines.append({"file": names[2 * pair + 1], "captions": [shared, f"alone {pair}"]})
    path = tmp_path / "captions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    margins = calibrate(tiny, store, from_captions(store, path), keep=False).margins
    parts = margins.groupby(margins["query"].str.split().str[1])["part"].nunique()
    assert len(parts) == 60
    assert (parts == 1).all()


def test_four_photos_with_many_captions_are_too_few(store, tiny, tmp_path):
    names = from_labels(store).pool.filepaths
    lines = [{"file": n, "captions": [f"{n} {i}" for i in range(15)]} for n in names[:4]]
    path = tmp_path / "captions.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    made = calibrate(tiny, store, from_captions(store, path))
    assert "the halves have 2 and 2 that images show" in made.refusal


def test_what_cannot_be_kept_is_said(store, tiny, monkeypatch):
    def refuse(self, calibration):
        raise PermissionError("this user may not")

    monkeypatch.setattr(ImageStore, "keep_calibration", refuse)
    made = calibrate(tiny, store)
    assert made.threshold is not None
    assert "It could not be kept: this user may not" in made._repr_html_()
    assert not made.kept


def test_a_handful_of_images_has_no_margins_and_is_refused(images, tiny, tmp_path):
    with ImageStore(tmp_path / "three.db") as three:
        ingest(images, tiny, three, limit=11, progress=False)
        made = calibrate(tiny, three)
        assert made.threshold is None
        assert "Fewer than 20 images" in made.refusal
    with pytest.raises(TypeError, match="keep is True or False"):
        calibrate(tiny, three, keep="false")


def test_another_model_and_no_labels_are_errors(store, encoder, tiny, tmp_path):
    with pytest.raises(ValueError, match="was filled by the model 'tiny'"):
        calibrate(encoder, store)
    with ImageStore(tmp_path / "flat.db") as flat:
        flat.open_for(tiny, tmp_path)
        flat.upsert([row("1.jpg", np.eye(tiny.dim)[0])])
        with pytest.raises(NothingJudgedError):
            calibrate(tiny, flat)


def test_the_threshold_is_where_both_kinds_part():
    present = pd.Series([0, 0, 1, 0, 1, 1])
    margins = pd.Series([1.0, 2.0, 2.5, 3.0, 4.0, 5.0])
    assert pick_threshold(present, margins) in (2.25, 3.5)
