from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers import ImageStore
from helpers.collection.filters import Where, build_filter, like, names_in, near, plain

from .support.rows import MODEL, row


@pytest.mark.parametrize(
    ("where", "expression"),
    [
        (None, ""),
        ({}, ""),
        ({"label": "goldfish"}, 'label == "goldfish"'),
        ({"label": ["a", "b"]}, 'label in ["a", "b"]'),
        ({"width": (640, None)}, "width >= 640"),
        ({"width": (None, 9), "height": 3}, "width >= 1 and width <= 9 and height == 3"),
        ({"width": (0, 9)}, "width >= 1 and width <= 9"),
        ({"stars": (None, 9)}, "stars <= 9"),
        ({"camera": (None, "M")}, 'camera > "" and camera <= "M"'),
        ({"camera": ("", "M")}, 'camera > "" and camera <= "M"'),
        ({"label": ""}, 'label == ""'),
        ({"camera": (None, None), "latitude": (None, None)}, 'camera > "" and latitude >= -90'),
        ({"width": [(1, 2), 7]}, "((width >= 1 and width <= 2) or (width == 7))"),
        ({"taken": 1970}, "taken >= 0 and taken <= 31535999"),
        ({"taken": ("1970-01", None)}, "taken >= 0"),
        ({"taken": (None, date(1970, 1, 1))}, "taken >= -62135596800 and taken <= 86399"),
        (
            {"taken": ["1970-01-01 00", datetime(1970, 1, 2)]},
            "((taken >= 0 and taken <= 3599) or (taken >= 86400 and taken <= 86400))",
        ),
        ({"filepath": like("a/*")}, 'filepath >= "a/" and filepath <= "a/\U0010ffff"'),
        ({"filepath": like("*/w_1 100%/**\\")}, r'filepath like "%/w\\_1 100\\%/%\\\\"'),
        ({"filepath": like("a.jpg")}, 'filepath == "a.jpg"'),
        (
            {"camera": [like("*"), "X"]},
            '((camera > "" and camera <= "\U0010ffff") or (camera == "X"))',
        ),
        ({"size": (1, 2)}, "size >= 1 and size <= 2"),
        ({"width": (np.float64(3.5), None), "size": np.int64(7)}, "width >= 3.5 and size == 7"),
    ],
)
def test_conditions_become_a_milvus_expression(where, expression):
    assert build_filter(where) == expression


@pytest.mark.parametrize(
    "where",
    [{"label": []}, {"a b": 1}, {"label": None}, {"x": float("nan")}, {"x": (None, None)},
     {"x": (1, 2, 3)}, {"label == 1 or label": "x"}, {"width": (9, 1)}, {"x": (1, "a")},
     {"width": 0}, {"width": [5, 0]}, {"width": "640"}, {"width": ("1", None)}, {"label": 2019},
     {"size": (None, None)}, {"taken": ("2020", "2019")}, {"taken": "soon"}, {"taken": [2019, "x"]},
     {"taken": like("2019*")}, {"latitude": like("1*")}, {"place": "Paris"}, {"place": []},
     {"taken": None}, {"taken": ["2019-06", None]}, {"width": [640, None]}, {"taken": [["2019"]]},
     {"camera": ""}, {"camera": ["", "X"]}, {"label": {"a": 1}}, {"width": True}, {"width": 10**30},
     {"width": (640, float("inf"))}, {1: 2}, {"taken": 19},
     {"place": [near(0, 0, 1), "Paris"]}, {"filepath": near(0, 0, 1)}, {"latitude": -999.0}],
)  # fmt: skip
def test_conditions_that_make_no_sense_are_refused(where):
    words = r"field|empty|neither|range|a value of|or more|not a date|is a number|near\(latitude"
    with pytest.raises(ValueError, match=words):
        build_filter(where)


MANY = [np.array(["b", "a"]), pd.Series(["b", "a"], index=[3, 4]), pd.Index(["b", "a"])]
MANY += [pd.Categorical(["b", "a"]), dict.fromkeys(["b", "a"]).keys()]


@pytest.mark.parametrize("values", MANY, ids=lambda values: type(values).__name__)
def test_values_of_numpy_and_pandas_and_sets_are_a_list(values):
    where = Where({"label": values})
    assert where.expression == 'label in ["b", "a"]'
    assert where.values_of("label") == ["b", "a"]
    assert plain({"label": values}) == {"label": ["b", "a"]}
    assert build_filter({"label": {"a"}}) == 'label == "a"'


@pytest.mark.parametrize(
    "value",
    [
        pd.Series(["a", None]),
        np.array([["a"]]),
        pd.DataFrame({"a": ["b"]}),
        iter("ab"),
        b"a",
        pd.NaT,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_row_of_values_is_no_condition(value):
    with pytest.raises(ValueError, match="a value of 'label' is a text, got"):
        build_filter({"label": value})


def test_the_dates_of_an_array_are_as_long_as_they_are():
    months = np.array(["1970-01", "1970-02"], "datetime64[M]")
    assert build_filter({"taken": months[:1]}) == "taken >= 0 and taken <= 2678399"
    assert plain(months) == ["1970-01", "1970-02"]


@pytest.mark.parametrize("where", ["label", [], 'label == "x"', {"label"}])
def test_conditions_are_a_dict(where):
    with pytest.raises(TypeError, match="where must be a dict of fields and values"):
        Where(where)


def test_the_values_of_a_field_are_a_list():
    where = Where({"label": "a", "width": [1, (3, None)], "size": (1, 2)})
    found = [where.values_of(name) for name in ("label", "width", "size", "taken")]
    assert found == [["a"], [1, (3, None)], [(1, 2)], []]


@pytest.mark.parametrize(
    ("place", "told"),
    [((91, 0, 1), "latitude"), ((0, 181, 1), "longitude"), ((0, 0, -1), "km"),
     ((float("nan"), 0, 1), "latitude"), (("48", 2, 1), "latitude"), ((0, True, 1), "longitude")],
)  # fmt: skip
def test_a_place_that_is_not_on_earth_is_refused(place, told):
    with pytest.raises(ValueError, match=rf"near: {told} is a number from"):
        near(*place)


@pytest.mark.parametrize("pattern", ["", None, 3])
def test_a_pattern_is_a_text(pattern):
    with pytest.raises(ValueError, match="like takes a text such as"):
        like(pattern)


def test_an_operator_is_written_as_it_is_called():
    for made in (like("*/a'b/*"), near(np.float64(48.86), 2, km=5)):
        assert eval(repr(made)) == made


def test_conditions_are_written_as_code_that_needs_no_imports():
    where = {
        "taken": [date(2019, 6, 1), (datetime(2019, 6, 1, 3), np.datetime64("2019-08"))],
        "width": (np.int64(3), None),
        "place": near(1, 2, 3),
    }
    again = eval(repr(plain(where)), {"near": near})
    assert build_filter(again) == build_filter(where)


PARIS, TAVEUNI = (48.8566, 2.3522), (-16.85, 179.97)  # Taveuni: on the date line


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        (PARIS, (51.5074, -0.1278), 343.6),  # London
        (PARIS, (-33.8688, 151.2093), 16_960),  # Sydney
        (TAVEUNI, (-16.85, -179.97), 6.385),  # 0.06 degrees of 360
        ((90, 0), (90, 77), 0),
        ((0, 0), (0, 180), 20_015),
    ],
)
def test_the_distance_is_that_of_a_globe(one, other, km):
    assert near(*one, km=km * 1.003 + 0.001).holds(*other)
    assert near(*other, km=km * 1.003 + 0.001).holds(*one)
    assert km == 0 or not near(*one, km=km * 0.997).holds(*other)


def test_whether_places_are_near_enough_is_told_of_rows():
    rows = [{"latitude": lat, "longitude": lon} for lat, lon in (PARIS, TAVEUNI, (0, 0))]
    where = Where({"place": [near(*PARIS, km=1), near(*TAVEUNI, km=1)], "width": 3})
    assert [where.within(found) for found in rows] == [True, True, False]
    assert Where({"width": 3}).within is Where(None).within is None


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
