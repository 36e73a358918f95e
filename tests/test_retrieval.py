import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_store import MODEL, row

from helpers import ImageStore, Query, SearchResults, ingest, list_images, search
from helpers.retrieval import build_filter, embed


@pytest.fixture(scope="module")
def filled(tmp_path_factory, drawings, encoder):
    with ImageStore(tmp_path_factory.mktemp("filled") / "milvus.db") as store:
        ingest(drawings, encoder, store, progress=False)
        yield store


def test_a_text_finds_what_the_exact_product_finds(filled, encoder):
    query = encoder.encode_texts(["a red star"])[0]
    rows = list(filled.rows(["filepath", "vector"]))
    scores = np.array([r["vector"] for r in rows]) @ query
    best = [rows[i]["filepath"] for i in np.argsort(-scores)[:10]]
    results = search("a red star", encoder, filled)
    assert [hit.filepath for hit in results] == best
    assert [hit.score for hit in results] == pytest.approx(sorted(scores)[::-1][:10], abs=1e-5)


def test_an_image_finds_itself_by_path_picture_or_vector(filled, encoder, drawings):
    path = list_images(drawings)[3]
    vector = encoder.encode_images([path])[0]
    for query in (path, Image.open(path), vector, 5 * vector):
        hit = search(query, encoder, filled, limit=1)[0]
        assert hit.path == path
        assert hit.score == pytest.approx(1, abs=1e-4)


def test_a_hit_knows_its_image(filled, encoder, drawings):
    hit = search("x", encoder, filled, limit=1)[0]
    assert hit.path == drawings / hit.filepath
    assert hit.label == Path(hit.filepath).parent.name
    assert (hit.width, hit.height) == Image.open(hit.path).size


def test_pages_follow_each_other_without_gap_or_repetition(filled, encoder):
    whole = [hit.filepath for hit in search("a star", encoder, filled, limit=12)]
    pages = [search("a star", encoder, filled, limit=4, offset=o) for o in (0, 4, 8)]
    assert [hit.filepath for page in pages for hit in page] == whole
    assert len(search("a star", encoder, filled, limit=4, offset=50)) == 0


def test_templates_change_the_text(filled, encoder):
    plain = search("star", encoder, filled)[0].score
    phrased = search("star", encoder, filled, templates=["a photo of a {}"])[0].score
    assert phrased == search("a photo of a star", encoder, filled)[0].score != plain


def test_where_and_filter_must_both_hold(filled, encoder, drawings):
    labels = sorted({path.parent.name for path in list_images(drawings)})
    within = search("x", encoder, filled, limit=50, where={"label": labels[:2]})
    assert {hit.label for hit in within} == set(labels[:2])
    second = f'label == "{labels[1]}"'
    both = search("x", encoder, filled, limit=50, where={"label": labels[:2]}, filter=second)
    assert {hit.label for hit in both} == {labels[1]}
    assert len(search("x", encoder, filled, where={"width": (1, 2)})) == 0
    either = f'label == "{labels[0]}" or label == "{labels[1]}"'
    narrowed = search("x", encoder, filled, limit=50, where={"label": labels[0]}, filter=either)
    assert {hit.label for hit in narrowed} == {labels[0]}


@pytest.mark.parametrize(
    ("where", "expression"),
    [
        (None, ""),
        ({}, ""),
        ({"label": "goldfish"}, 'label == "goldfish"'),
        ({"label": ["a", "b"]}, 'label in ["a", "b"]'),
        ({"width": (640, None)}, "width >= 640"),
        ({"width": (None, 9), "height": 3}, "width <= 9 and height == 3"),
        ({"size": (1, 2)}, "size >= 1 and size <= 2"),
        ({"width": (np.float64(3.5), None), "size": np.int64(7)}, "width >= 3.5 and size == 7"),
    ],
)
def test_conditions_become_a_milvus_expression(where, expression):
    assert build_filter(where) == expression


@pytest.mark.parametrize(
    "where",
    [{"label": []}, {"a b": 1}, {"label": None}, {"x": float("nan")}, {"x": (None, None)},
     {"x": (1, 2, 3)}, {"label == 1 or label": "x"}],
)  # fmt: skip
def test_conditions_that_make_no_sense_are_refused(where):
    with pytest.raises(ValueError, match=r"field|empty|neither|range"):
        build_filter(where)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A store whose first row gets any label that a test thinks of."""
    folder = tmp_path_factory.mktemp("labelled")
    with ImageStore(folder / "milvus.db") as store:
        store.open_for(MODEL, folder)
        store.upsert([row("other.jpg", label="other")])
        yield store


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(label=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@example(label='" or label != "')
@example(label="\\")
@example(label='\\" or 1 == 1 or label == \\"')
@example(label="line\nbreak\ttab {x} $1 '")
@example(label="😀 \u2028 é")
def test_no_label_breaks_out_of_its_quotes(labelled, label):
    labelled.upsert([row("odd.jpg", label=label)])
    query = np.eye(8, dtype=np.float32)[0]
    found = labelled.search(query, 9, filter=build_filter({"label": label}))
    expected = {"odd.jpg", "other.jpg"} if label == "other" else {"odd.jpg"}
    assert {hit["filepath"] for hit in found} == expected


def cosine(encoder, query, term) -> float:
    return float(embed(query, encoder) @ embed(term, encoder))


texts = st.sampled_from(["a dog", "a beach", "grass", "red star", "two cats", "a photo"])
weights = st.floats(0.1, 5)
terms = st.lists(st.tuples(texts, weights), min_size=1, max_size=4, unique_by=lambda term: term[0])
relaxed = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@relaxed
@given(terms=terms, factor=st.floats(0.2, 5), seed=st.randoms())
def test_neither_the_order_of_terms_nor_a_common_factor_matters(encoder, terms, factor, seed):
    scaled = [(term, weight * factor) for term, weight in terms]
    seed.shuffle(scaled)
    assert np.allclose(
        embed(Query(like=terms), encoder), embed(Query(like=scaled), encoder), atol=1e-4
    )


@relaxed
@given(like=texts, unlike=texts, weight=st.floats(0.1, 0.9))
def test_unlike_lowers_the_similarity(encoder, like, unlike, weight):
    if like == unlike:
        return
    without = Query(like=[like], unlike=[(unlike, weight)])
    assert cosine(encoder, without, unlike) < cosine(encoder, like, unlike) + 1e-5


def test_a_query_of_one_term_is_that_term(encoder, drawings):
    path = list_images(drawings)[0]
    assert np.allclose(embed(Query(like=[path]), encoder), embed(path, encoder), atol=1e-6)


def test_texts_and_images_mix(filled, encoder, drawings):
    path = list_images(drawings)[0]
    query = Query(like=[path, ("a star", 0.1)], unlike=[("a fish", 0.05)])
    results = search(query, encoder, filled)
    assert results[0].path == path
    assert results.query == f"like {path.name} + a star x 0.1, unlike a fish x 0.05"


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        ("  \n", ValueError, "blank"),
        (Query(), ValueError, "empty"),
        (Query(like=["a"], unlike=["a"]), ValueError, "cancels itself out"),
        (Query(like=[("a", 0)]), ValueError, "above 0"),
        (Query(like=[("a", -1)]), ValueError, "unlike"),
        (Query(like="a"), TypeError, "lists"),
        (42, TypeError, "cannot search for a int"),
        (np.ones(3), ValueError, r"shape \(64,\), not \(3,\)"),
        (np.zeros(64), ValueError, "length zero"),
        (np.full(64, np.nan), ValueError, "not finite"),
        (Path("gone.jpg"), OSError, "gone.jpg"),
    ],
)
def test_a_query_that_makes_no_sense_says_what_is_wrong(filled, encoder, query, error, words):
    with pytest.raises(error, match=words):
        search(query, encoder, filled)


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (-1, 0), (16385, 0), (10, -1), (2, 16383)])
def test_a_limit_beyond_milvuss_is_refused(filled, encoder, limit, offset):
    with pytest.raises(ValueError, match="16,384"):
        search("x", encoder, filled, limit=limit, offset=offset)


def test_a_collection_of_another_model_is_refused(filled, other_encoder):
    with pytest.raises(ValueError, match=r"filled by the model 'random\.pt'"):
        search("x", other_encoder, filled)


def test_an_empty_collection_gives_an_empty_result(store, encoder, tmp_path):
    assert len(search("x", encoder, store)) == 0
    store.open_for(encoder, tmp_path)
    results = search("x", encoder, store)
    assert len(results) == 0
    assert results.to_frame().columns.tolist() == ["filepath", "score", "label", "width", "height"]
    assert "0 images" in results._repr_html_()


def test_results_are_a_sequence_a_table_a_grid_and_a_text(filled, encoder):
    results = search("a red star", encoder, filled, limit=3)
    assert isinstance(results, SearchResults)
    assert [hit.filepath for hit in results] == results.to_frame().filepath.tolist()
    assert [hit.score for hit in results[:2]] == results.to_frame().score[:2].tolist()
    assert results.to_html().count("<img") == 3
    assert repr(results).splitlines()[1].endswith(results[0].filepath)
    assert json.loads(results.to_frame().to_json(orient="records"))[0]["width"] == 256


def test_true_and_numbers_are_written_as_milvus_wants_them():
    assert build_filter({"a": True, "b": -1.5}) == "a == true and b == -1.5"
