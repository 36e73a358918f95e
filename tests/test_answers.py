"""The best and the worst queries as pictures, and what several find wrongly."""

import pytest

from helpers.evaluation.judgements import from_csv, from_labels
from helpers.evaluation.measuring import evaluate
from helpers.views.answers import best_and_worst, failing_together


@pytest.fixture(scope="module")
def judgements(ingested):
    return from_labels(ingested)


def test_the_worst_and_the_best_queries_show_their_first_pictures(judgements, encoder):
    evaluation = evaluate(judgements, encoder)
    page = best_and_worst(evaluation, judgements, each=2).data
    assert page.count("<img ") == 4 * 5
    values = evaluation.values.set_index("query")["average precision"].sort_values()
    for query in [*values.index[:2], *values.index[-2:]]:
        assert f"{query}: average precision {values[query]:.2f}" in page
    assert page.index(values.index[0]) < page.index(f"{values.index[-1]}: ")
    assert page.count("✓ right") + page.count("✗ wrong") == 20
    assert "cannot be read" not in page


def test_few_queries_are_shown_once(judgements, encoder):
    page = best_and_worst(evaluate(judgements, encoder), judgements, each=4).data
    assert page.count("<img ") == 5 * 5


def test_wrong_pictures_name_the_queries_that_find_them(judgements, encoder, tiny, ingested):
    page = failing_together(evaluate(judgements, encoder), judgements).data
    assert "wrong for " in page
    assert 1 <= page.count("<img ") <= 5


def test_without_shared_mistakes_it_says_so(judgements, encoder):
    evaluation = evaluate(judgements, encoder)
    evaluation.values["R-precision"] = 1.0
    assert "No two queries" in failing_together(evaluation, judgements).data


def test_a_picture_that_nobody_judged_says_so(judgements, ingested, encoder, tmp_path):
    names = judgements.pool.filepaths
    path = tmp_path / "judged.csv"
    path.write_text(f"query,filepath,relevant\nit,{names[0]},1\nit,{names[1]},0\n")
    judged = from_csv(ingested, path)
    page = best_and_worst(evaluate(judged, encoder), judged).data
    assert page.count("? not judged") + page.count("✓ right") + page.count("✗ wrong") == 5
    assert page.count("? not judged") >= 3


def test_labels_and_names_are_escaped(judgements, encoder):
    from dataclasses import replace

    odd = replace(judgements, queries=["<b>$x$</b>", *judgements.queries[1:]])
    evaluation = evaluate(odd, encoder)
    page = best_and_worst(evaluation, odd, each=5).data
    assert "<b>$x$</b>" not in page
    assert "&lt;b&gt;$x$&lt;/b&gt;" in page
