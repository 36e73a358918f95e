"""The boxes of the panel."""

import pytest

from helpers.views.asked import Asked
from helpers.views.form import Form


@pytest.fixture
def form() -> Form:
    return Form(["a", "b"], 50, "a star", visitors=False)


def test_what_is_typed_is_the_question_without_blanks_around_it(form):
    form.unlike.value = "  a fish "
    form.taken_from.value = "2019"
    assert Asked(**form.values) == Asked("a star", unlike="a fish", taken_from="2019")


def test_a_question_fills_the_boxes_and_empties_the_others(form):
    asked = Asked("a fish", camera="Canon", sort_by="taken", templates=True)
    form.unlike.value = "a star"
    form.fill(asked)
    assert Asked(**form.values) == asked


def test_each_box_and_the_button_call(form):
    called = []
    form.on_change(called.append)
    for name, part in form.fields.items():
        part.value = {"templates": True, "sort_by": "taken"}.get(name, "2019")
    form.limit.value = 3
    form.button.click()
    assert len(called) == len(form.fields) + 2


def test_all_but_the_search_box_is_folded_away_until_it_is_asked_for(form):
    head, fold = form.widget.children
    assert form.query in head.children
    assert fold.layout.display == "none"
    form.options.value = True
    assert fold.layout.display == "flex"
    assert {form.unlike, form.label, form.taken_from, form.folder} <= set(fold.children)


def test_every_box_has_a_name(form):
    for part in (*form.fields.values(), form.limit, form.label, form.folder):
        assert part.description or part.placeholder
