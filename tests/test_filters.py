import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers import ImageStore
from helpers.collection.filters import build_filter, names_in

from .support.rows import MODEL, row


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


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("", set()),
        ('label == "a \\" width" and height > 5', {"label", "height"}),
        ("not (label IN ['it', \"is\"]) OR Size<=1e5", {"label", "Size"}),
        ('label like "x%" and exists colour', {"label", "colour"}),
        ("array_contains(tags, 3) and true", {"tags"}),
        ('$meta["colour"] == 1', set()),
    ],
)
def test_the_names_of_an_expression_are_not_its_texts_or_words(expression, names):
    assert names_in(expression) == names


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


def test_true_and_numbers_are_written_as_milvus_wants_them():
    assert build_filter({"a": True, "b": -1.5}) == "a == true and b == -1.5"


def test_a_text_is_found_in_both_forms_of_its_accents():
    nfc, nfd = "Caf\u00e9", "Cafe\u0301"
    assert build_filter({"label": nfc}) == f'label in ["{nfc}", "{nfd}"]'
    assert build_filter({"label": [nfd, "a"]}) == f'label in ["{nfd}", "{nfc}", "a"]'
    assert build_filter({"label": "Cafe"}) == 'label == "Cafe"'
