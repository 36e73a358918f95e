"""A way to ask is adopted where it is proven to be better, and nowhere else."""

import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers import ClipEncoder, ImageStore, Query, calibrate, draw_demo_images, search, tune
from helpers.encoding import unit_vectors
from helpers.evaluation import calibration
from helpers.evaluation.judgements import BY_HAND, LABELS, Judgements, Pool
from helpers.evaluation.measuring import Evaluation, evaluate
from helpers.evaluation.tuning import METRIC, _judge
from helpers.query.chance import WAYS, FromMean, random_texts
from helpers.query.queries import PLAIN

from .benchmarks.gaps import Moved
from .support.rows import row

DIM = 32
MEAN = "texts from their mean"


class Shared:
    """An encoder that sees what is asked, and beside it what all texts share, and the phrasing."""

    name = model_name = "shared"
    dim, digest, content = DIM, "a" * 64, "c" * 64
    path = Path("shared.pt")

    def __init__(self, share: float, phrased: float = 0.0, seed: int = 0) -> None:
        self.share, self.phrased, self.seed = share, phrased, seed
        self.offset = unit_vectors(np.random.default_rng(1).standard_normal(DIM))

    def encode_texts(self, texts, templates=PLAIN):
        phrasings = templates if self.phrased else PLAIN
        seen = np.array([own_vector(f"{self.seed} {text}") for text in texts])
        heard = [[own_vector(each.replace("{}", text)) for text in texts] for each in phrasings]
        own = unit_vectors(seen + self.phrased * np.array(heard))
        return unit_vectors(unit_vectors(own + self.share * self.offset).mean(axis=0))

    def common_words(self) -> list[str]:
        return [f"word {number}" for number in range(200)]


@cache
def own_vector(text: str) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(text.encode())).standard_normal(DIM)


class Remembers(SimpleNamespace):
    """A collection that only remembers."""

    made_here = True

    def check_model(self, encoder) -> None:
        pass

    def keep_way(self, way, calibration) -> None:
        self.way, self.calibration = dict(way), dict(calibration)


def remembers(**way: str) -> Remembers:
    return Remembers(way=way, calibration={"threshold": 3.0, "templates": ["{}"]})


def pool_of(vectors: np.ndarray) -> Pool:
    names = [f"{number}.jpg" for number in range(len(vectors))]
    return Pool(names, [""] * len(names), unit_vectors(vectors), Path())


def shown(questions: int, groups=None) -> Judgements:
    """Return questions that three images show each, more or less."""
    texts, drawn = [f"thing {number}" for number in range(questions)], np.random.default_rng(0)
    vectors = np.array([own_vector(f"0 {text}") for text in texts for _ in range(3)])
    pool = pool_of(vectors + drawn.standard_normal(vectors.shape))
    relevant = list(np.arange(3 * questions).reshape(questions, 3))
    return Judgements(BY_HAND, texts, relevant, groups or texts, pool)


def at_random(seed: int) -> tuple[Judgements, Shared]:
    """Return questions of which nobody knows which images are right."""
    drawn = np.random.default_rng(seed)
    texts, pool = [f"thing {n}" for n in range(80)], pool_of(drawn.standard_normal((200, DIM)))
    relevant = [drawn.choice(200, (1, 5, 50)[seed % 3], replace=False) for _ in texts]
    return Judgements(BY_HAND, texts, relevant, texts, pool), Shared(0.5, 0.5)


@pytest.fixture(scope="module")
def drawn(demo_images, demo_store) -> pd.DataFrame:
    """The demo's drawings, with their vectors."""
    table = draw_demo_images(demo_images)
    vectors = {each["filepath"]: each["vector"] for each in demo_store.rows(["filepath", "vector"])}
    return table.assign(vector=table["filepath"].map(vectors))


@pytest.fixture
def store(tmp_path):
    """A collection of 240 images, three for each thing that is `shown`."""
    with ImageStore(tmp_path / "milvus.db") as opened:
        opened.open_for(Shared(3.0), tmp_path)
        vectors = enumerate(shown(80).pool.vectors)
        opened.upsert([row(f"{n}.jpg", each, label=f"thing {n // 3}") for n, each in vectors])
        yield opened


def test_where_all_texts_are_moved_the_demo_asks_from_their_mean(drawn, tiny):
    pool = pool_of(np.stack(drawn["vector"]))
    places = drawn.groupby("label").indices
    judgements = Judgements(LABELS, list(places), list(places.values()), list(places), pool)
    collection = remembers()
    made = tune(Moved(tiny), collection, judgements)
    assert (made.best, made.kept, made.gain.n) == (MEAN, True, 50)
    assert made.gain.low > 0.2
    assert collection.way["name"] == MEAN
    assert collection.calibration == {}


@pytest.mark.parametrize("column", ["label", "caption"])
def test_the_demo_as_it_is_adopts_nothing(drawn, column):
    asked = drawn.groupby(column).indices
    asked = dict(list(asked.items())[:120])
    pool = pool_of(np.stack(drawn["vector"]))
    judgements = Judgements(LABELS, list(asked), list(asked.values()), list(asked), pool)
    collection = remembers()
    made = tune(ClipEncoder("tiny"), collection, judgements)
    assert (made.best, made.kept, collection.way) == ("", False, {})
    assert "No way was better" in repr(made)
    assert collection.calibration != {}


def test_of_forty_random_labelings_three_adopt_a_way_at_most():
    judged = [at_random(seed) for seed in range(40)]
    assert sum(tune(encoder, remembers(), each).kept for each, encoder in judged) <= 3


def test_a_way_that_is_better_by_a_planted_amount_is_adopted():
    made = tune(Shared(0.5), remembers(), shown(100))
    assert made.best == MEAN
    assert 0 < made.gain.low < 0.1
    found = made.table()[METRIC].diff()[MEAN]
    assert made.gain.mean == pytest.approx(found)
    assert f"{MEAN}: {found:+.3f} ({made.gain.range}) on 50 judged" in made.note
    assert list(made.table()["so it is"]) == ["", "better"]
    phrased = tune(Shared(0.0, phrased=2.0), remembers(), shown(100))
    assert phrased.best == "texts in four phrasings"
    assert tune(Shared(0.0), remembers(), shown(100)).best == ""


@pytest.mark.parametrize(("questions", "is_enough"), [(20, False), (78, False), (79, True)])
def test_the_half_that_judges_needs_forty_questions(questions, is_enough):
    collection = remembers(name=MEAN, words="as it was")
    made = tune(Shared(3.0), collection, shown(questions))
    assert made.kept == is_enough
    assert (collection.way["words"] == "as it was") != is_enough
    few = f"{(questions + 1) // 2} queries, a pool of {3 * questions} images. These are too few"
    assert (few in repr(made)) != is_enough


def test_questions_that_belong_together_are_one_and_those_without_an_answer_none():
    together = [number // 5 for number in range(300)]
    assert "too few" in tune(Shared(3.0), remembers(), shown(300, together)).note
    pairs = [number // 2 for number in range(160)]
    assert tune(Shared(3.0), remembers(), shown(160, pairs)).queries == 80
    judged = shown(100)
    none = [right[:0] if number < 22 else right for number, right in enumerate(judged.relevant)]
    assert "39 queries" in repr(tune(Shared(3.0), remembers(), replace(judged, relevant=none)))
    nothing = [right[:0] for right in judged.relevant]
    assert "0 queries" in repr(tune(Shared(3.0), remembers(), replace(judged, relevant=nothing)))


def evaluations(more: np.ndarray) -> dict[str, Evaluation]:
    """Return what each way got of 80 questions; `more` is by how much more from their mean."""
    made = evaluate(shown(80), Shared(0.0))
    plain = made.values.assign(**{METRIC: 0.5})
    found = {way: replace(made, values=plain) for way in WAYS}
    more_values = plain.assign(**{METRIC: 0.5 + more})
    return found | {MEAN: replace(made, values=more_values)}


def test_questions_that_are_queries_are_asked_as_queries():
    judged = shown(80)
    texts = [f"nothing {number}" for number in range(80)]
    asked = [Query([text]) for text in judged.queries]
    made = tune(Shared(3.0), remembers(), replace(judged, queries=texts, asked=asked))
    assert made.best == MEAN
    assert made.gain.mean > 0.5
    assert tune(Shared(3.0), remembers(), replace(judged, queries=texts)).gain.mean < 0.1


def test_the_choice_has_no_part_in_the_judgement():
    """What is better on one half alone is chosen there, and refused."""
    first = np.arange(80) < 40
    found = evaluations(more=np.where(first, 0.1, 0.0))
    made = _judge(found, ~first, "questions")
    assert (made.best, made.gain[:3]) == ("", (0, 0, 0))
    assert f"The best of the other half is {MEAN}: +0.000" in made.note
    assert _judge(found, first, "questions").best == ""  # it is not even chosen
    found = evaluations(more=np.where(first, 0.1, np.linspace(0.1, 0.3, 80)))
    assert _judge(found, ~first, "questions").best == MEAN


def test_what_looks_like_nothing_in_three_digits_is_nothing():
    found = evaluations(more=np.linspace(0.0001, 0.0008, 80))
    made = _judge(found, np.arange(80) % 2 == 0, "questions")
    assert (made.best, made.gain.low > 0) == ("", True)


def test_other_halves_give_other_figures_and_the_same_ones_the_same():
    notes = [tune(Shared(0.5), remembers(), shown(100), seed=seed).note for seed in (0, 0, 1)]
    assert notes[0] == notes[1] != notes[2]


def test_a_way_that_is_no_longer_better_is_forgotten_and_one_that_is_keeps_its_threshold():
    collection = remembers(name=MEAN, words="as it was")
    made = tune(Shared(3.0), collection, shown(80))
    assert collection.calibration["threshold"] == 3.0
    assert collection.way["words"] == made.note
    assert "07_no_match" not in made.note
    made = tune(Shared(0.0), collection, shown(80))
    assert (made.kept, collection.way, collection.calibration) == (False, {}, {})
    assert "Searches take texts as they are from now on: run 07_no_match" in made.note


def test_what_is_not_to_be_kept_or_cannot_be_is_not():
    collection = remembers()
    assert tune(Shared(3.0), collection, shown(80), keep=False).best == MEAN
    collection.made_here = False
    assert not tune(Shared(3.0), collection, shown(80)).kept
    assert collection.way == {}
    collection.made_here = True

    def refuse(way, calibration):
        raise PermissionError("this user may not")

    collection.keep_way = refuse
    made = tune(Shared(3.0), collection, shown(80))
    assert (made.best, made.kept) == (MEAN, False)
    assert "It could not be kept: this user may not" in made._repr_html_()
    with pytest.raises(TypeError, match="keep is True or False"):
        tune(Shared(3.0), collection, shown(80), keep="no")


def test_searches_ask_so_whoever_opens_the_collection_next(store):
    plain = search("thing 7", Shared(3.0), store)
    assert plain.way == ""
    made = tune(Shared(3.0), store)
    assert made.kept
    with ImageStore(store._connection.uri, store.collection_name) as again:
        found = search("thing 7", Shared(3.0), again)
        assert [hit.label for hit in found[:3]] == ["thing 7"] * 3
        assert [hit.filepath for hit in found] != [hit.filepath for hit in plain]
        assert found.way == store.way["words"] == f"{made.note}".partition(". Searches")[0]
        assert f"ms, {MEAN}: +0." in found.summary
        assert found.code == "search('thing 7', encoder, store)"
        assert all(abs(hit.margin) < 10 for hit in found)
        explicit = search("thing 7", Shared(3.0), again, templates=["{}"])
        assert [hit.filepath for hit in explicit] == [hit.filepath for hit in plain]
        assert (explicit.way, explicit.options) == ("", {"templates": ["{}"]})


def test_texts_inside_a_query_are_asked_so_and_vectors_are_not(store):
    encoder, vector = Shared(3.0), own_vector("0 thing 3")
    before = search(vector, encoder, store)
    assert tune(encoder, store).kept
    after = search(vector, encoder, store)
    assert ([hit.score for hit in after], after.way) == ([hit.score for hit in before], "")
    both = search(Query(["thing 3", "thing 4"]), encoder, store)
    total = FromMean(encoder).encode_texts(["thing 3", "thing 4"]).sum(axis=0)
    assert both.way.startswith(MEAN)
    assert [hit.filepath for hit in both] == [hit.filepath for hit in search(total, encoder, store)]
    assert search("thing 3", encoder, store, where={"label": "nothing"}).way == ""


def test_a_threshold_is_of_the_way_in_use(store, monkeypatch):
    monkeypatch.setattr(calibration, "_DRAWS", 20)
    encoder = Shared(3.0)
    store.keep_calibration({"threshold": 3.0, "templates": ["{}"], "errors": 0.1})
    assert search("thing 7", encoder, store).threshold == 3.0
    tune(encoder, store)
    assert search("thing 7", encoder, store).threshold is None
    made = calibrate(encoder, store)
    assert made.threshold == pytest.approx(search("thing 7", encoder, store).threshold, abs=1e-3)
    assert search("thing 7", encoder, store).matches is True
    assert search("thing 7", encoder, store, templates=["{}"]).threshold is None
    tune(encoder, store)
    assert store.calibration["threshold"] == pytest.approx(made.threshold, abs=1e-3)
    plain = calibrate(encoder, store, templates=["{}"], keep=False)
    assert plain.templates == ["{}"] != made.templates


@pytest.mark.parametrize(
    "kept",
    ["[]", "[3]", "3", "null", "no json", '{"name": "of tomorrow"}', '{"name": ["a"]}', '{"a": 1}'],
)
def test_a_way_that_this_version_does_not_know_is_said_and_not_used(store, kept):
    plain = search("thing 7", Shared(3.0), store)
    store._keep(way=kept)
    found = search("thing 7", Shared(3.0), store)
    assert list(found) == list(plain)
    assert ("does not know the way to ask that is kept here" in found.way) == (kept != "[]")
    assert tune(Shared(3.0), store).kept
    assert search("thing 7", Shared(3.0), store).way.startswith(MEAN)


def test_to_take_the_mean_off_texts_is_to_take_its_bias_off_each_image():
    encoder, images = Shared(3.0), shown(80).pool.vectors
    texts = [f"thing {number}" for number in range(5)]
    moved = FromMean(encoder).encode_texts(texts) @ images.T
    by_image = encoder.encode_texts(texts) @ images.T - (
        random_texts(encoder, None) @ images.T
    ).mean(0)
    assert np.array_equal(np.argsort(moved), np.argsort(by_image))
    assert (FromMean(encoder).dim, FromMean(encoder).content) == (encoder.dim, encoder.content)


def test_a_way_costs_a_search_four_texts_at_most():
    assert max(len(phrasings) for phrasings, _ in WAYS.values()) == 4
    assert next(iter(WAYS.values())) == (PLAIN, False)
