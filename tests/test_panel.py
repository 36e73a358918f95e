import pytest

from helpers import SearchPanel, ingest


@pytest.fixture
def panel(drawings, encoder, store):
    ingest(drawings, encoder, store, progress=False)
    return SearchPanel(encoder, store)


def pictures(panel) -> int:
    return panel.results.value.count("<img ")


def test_a_click_shows_as_many_pictures_as_asked_for(panel):
    panel.query.value = "a red star"
    panel.limit.value = 7
    panel.button.click()
    assert pictures(panel) == 7
    assert "a red star: 7 images" in panel.results.value


def test_enter_in_the_box_searches(panel):
    assert pictures(panel) == 0
    panel.query.value = "a fish"  # what the browser sends at Enter
    assert pictures(panel) == 10
    assert not panel.query.continuous_update


def test_an_error_is_shown_and_the_pictures_stay(panel):
    panel.query.value = "a fish"
    before = panel.results.value
    panel.query.value = "  "
    assert "the query is blank" in panel.message.value
    assert panel.results.value == before
    panel.query.value = "a star"
    assert "blank" not in panel.message.value


def test_what_is_typed_is_only_text(panel):
    panel.query.value = "<script>alert(1)</script>"
    assert "<script>" not in panel.results.value


def test_an_empty_collection_says_what_to_do(encoder, store):
    panel = SearchPanel(encoder, store, query_text="a star")
    assert "run 02_ingestion" in panel.message.value
    assert panel.results.value == ""


def test_any_failure_is_seen(panel, store):
    store.close()
    panel.query.value = "a star"
    assert "was closed" in panel.message.value


def test_a_query_given_at_first_is_searched_at_once(encoder, store, drawings):
    ingest(drawings, encoder, store, progress=False)
    assert pictures(SearchPanel(encoder, store, limit=3, query_text="a star")) == 3


def test_a_notebook_shows_the_panel_as_a_widget(panel):
    assert "application/vnd.jupyter.widget-view+json" in panel._repr_mimebundle_()
