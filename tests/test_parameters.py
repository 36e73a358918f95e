from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.parameters import YesNoAll, check_flags, check_whole, read_parameters


def read(kind: type, value: object) -> object:
    """Read one parameter as a notebook does that declares its type."""
    namespace = {"__annotations__": {"name": kind}, "name": value}
    read_parameters(namespace)
    return namespace["name"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("NO", "NO"),
        ("1e3", "1e3"),
        ("", ""),
        ("  a  ", "  a  "),
        ("[a]", "[a]"),
        ("None", "None"),
        (42, "42"),
        (2.5, "2.5"),
        (True, "True"),
        (Path("a/b"), str(Path("a/b"))),
        (None, None),
    ],
)
def test_a_text_stays_a_text(value, text):
    assert read(str, value) == text


@given(st.text())
def test_any_text_stays_as_it_was_typed(text):
    assert read(str, text) == text


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, None),
        ("", None),
        ([], None),
        ("[]", None),
        ("a dog", ["a dog"]),
        ("2019", ["2019"]),
        (2019, ["2019"]),
        ([2025, "b"], ["2025", "b"]),
        (("a", "b"), ["a", "b"]),
        ("a, b", ["a", "b"]),
        ("[2019, phone]", ["2019", "phone"]),
        ('["a, b", "c"]', ["a, b", "c"]),
        ("['a', 'b']", ["a", "b"]),
        ("a\nb", ["a", "b"]),
        ("dog's bed", ["dog's bed"]),
        ('say "x"', ['say "x"']),
        ("a photo of {}", ["a photo of {}"]),
        ("[{}, a photo of {}]", ["{}", "a photo of {}"]),
    ],
)
def test_a_list_may_come_as_a_list_as_one_value_or_as_text(value, texts):
    assert read(list, value) == texts


@given(st.text())
def test_no_text_is_too_odd_for_a_list(text):
    assert read(list, text) is None or all(read(list, text))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5),
        ("5", 5),
        (" 5 ", 5),
        (5.0, 5),
        ("5.0", 5),
        ("-2", -2),
        ("1e3", 1000),
        (None, None),
        ("None", None),
        ("", None),
    ],
)
def test_a_whole_number_may_come_as_text(value, number):
    assert read(int, value) == number


@pytest.mark.parametrize("value", [True, 1, "true", "True", " YES ", "y", "on", "1"])
def test_the_usual_words_for_yes_are_yes(value):
    assert read(bool, value) is True


@pytest.mark.parametrize(
    "value", [False, None, 0, "false", "FALSE", "No", "n", "off", "0", "None", " "]
)
def test_the_usual_words_for_no_are_no(value):
    assert read(bool, value) is False


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (bool, "maybe"),
        (bool, "flase"),
        (bool, 2),
        (bool, [False]),
        (bool, {}),
        (bool, "true false"),
        (int, "ten"),
        (int, True),
        (int, 2.5),
        (int, "nan"),
        (int, "inf"),
        (int, [5]),
        (str, ["a"]),
        (str, {"a": 1}),
        (list, {"a": 1}),
        (list, [["a"]]),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_changed(kind, value):
    kinds = {"first": int, "name": kind}
    namespace = {"__annotations__": kinds, "first": "5", "name": value}
    with pytest.raises(ValueError, match="name is "):
        read_parameters(namespace)
    assert namespace["first"] == "5"


def test_what_declares_no_type_is_left_alone():
    namespace = {"__annotations__": {"other": dict, "absent": int}, "other": {}, "plain": "5"}
    read_parameters(namespace)
    assert (namespace["other"], namespace["plain"]) == ({}, "5")


@pytest.mark.parametrize("value", ["false", "", 0, None])
def test_a_text_is_no_flag(value):
    check_flags(prune=True)
    with pytest.raises(TypeError, match="prune is True or False"):
        check_flags(prune=value)


@pytest.mark.parametrize(
    ("value", "error"), [("5", TypeError), (2.5, TypeError), (True, TypeError), (0, ValueError)]
)
def test_a_text_is_no_whole_number(value, error):
    check_whole(1, limit=5, batch_size=None)
    with pytest.raises(error, match="limit"):
        check_whole(1, limit=value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("all", True), (" ALL ", True), ("yes", None), (True, None), (None, None)],
)
def test_a_flag_with_something_in_reserve_knows_a_word_more(value, expected):
    assert read(YesNoAll, value) == ("all" if expected else read(bool, value))


def test_a_flag_with_something_in_reserve_refuses_all_else():
    with pytest.raises(ValueError, match="name is yes or no"):
        read(YesNoAll, "alles")
