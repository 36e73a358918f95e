"""The size of the house: who adds, takes away. `python -m tests.house` prints what is measured."""

import pytest

from helpers import search

from . import house

MOST_LINES = 5_970
MOST_MODULES = 42
MOST_LED_TO = {"helpers.ingestion": 20, "helpers.retrieval": 22, "helpers.views.panel": 30}
MOST_ON_THE_WAY = 13


def test_the_house_can_be_held_in_ones_head():
    sizes = house.sizes()
    assert sum(sizes.values()) <= MOST_LINES
    assert len(sizes) <= MOST_MODULES
    assert max(sizes.values()) <= 420, max(sizes, key=sizes.__getitem__)


@pytest.mark.parametrize(("entrance", "most"), MOST_LED_TO.items())
def test_few_modules_have_to_be_opened_from(entrance, most):
    assert len(house.closure(entrance)) <= most


def test_a_warm_search_enters_few_modules(ingested, encoder):
    search("a red star", encoder, ingested)
    entered = house.called(lambda: search("a red star", encoder, ingested))
    assert {"helpers.retrieval", "helpers.collection.store"} <= set(entered)
    assert len(entered) <= MOST_ON_THE_WAY, entered


def test_naming_an_encoder_loads_no_model():
    _, loaded = house.importing(*house.LIGHT)
    assert "helpers.retrieval" in loaded
    assert not {"torch", "clip", "matplotlib", "sklearn"} & loaded


def test_neither_blanks_nor_comments_nor_docstrings_are_code(tmp_path):
    path = tmp_path / "some.py"
    path.write_text('"""What it is."""\n\nx = """\na\n"""  # two\n\n\ndef f():\n    """Do."""\n')
    assert house.code_lines(path) == 4


def test_what_leads_on_is_followed_through_functions_and_packages(tmp_path):
    package = tmp_path / "helpers"
    (package / "room").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "room" / "__init__.py").write_text("")
    (package / "a.py").write_text("def f():\n    from .room import b\n\n    return b\n")
    (package / "room" / "b.py").write_text("from ..c import x\n")
    (package / "c.py").write_text("x = 1\n")
    (package / "d.py").write_text("y = 1\n")
    assert house.closure("helpers.a", tmp_path) == {"helpers.a", "helpers.room.b", "helpers.c"}
    assert house.sizes(tmp_path) == {
        "helpers.a": 3,
        "helpers.c": 1,
        "helpers.d": 1,
        "helpers.room.b": 1,
    }
