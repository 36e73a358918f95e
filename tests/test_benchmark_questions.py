"""`make evaluation`: the tables of the hard questions, and what they refuse to print."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers import Query
from helpers.demo.questions import ABSENT
from helpers.query.queries import AnyOf

from .benchmarks import questions
from .benchmarks.gaps import situations
from .benchmarks.possible import Impossible, refuse


@pytest.fixture(scope="module")
def pool(tmp_path_factory, tiny):
    return questions.drawn(tmp_path_factory.mktemp("few"), tiny, seed=10, n=100)


@pytest.fixture(scope="module")
def asked(pool, tiny) -> questions.Asked:
    return questions.ask(pool, tiny, seed=10, each=3)


@pytest.fixture
def values(asked) -> pd.DataFrame:
    return asked.values.copy()


def test_a_plain_sum_is_what_queries_were(tiny):
    query = Query([AnyOf("a star", "a fish")], ["red"])
    star, fish, red = tiny.encode_texts(["a star", "a fish", "red"])
    vector = star + fish - red / 2
    assert questions.plain_sum(query, tiny) == pytest.approx(
        vector / np.linalg.norm(vector), abs=1e-5
    )


def test_the_tables_name_every_kind_and_figure(asked, values):
    cells = questions.figures(values)
    lines = [*questions.table("the demo", cells)]
    kinds = values["kind"].unique()
    assert [line.split(" | ")[0].strip("| ") for line in lines[1:]] == [*kinds]
    assert "nan" not in "".join(lines)
    logged = [*questions.ledger("the demo", cells)]
    assert len(logged) == 2 + len(questions.WAYS)
    assert all(line.count("|") == logged[1].count("|") for line in logged[1:])
    assert len([*questions.worst_lines(values)]) == len(kinds)
    for kind in ("vague", "absent", "not a colour"):
        made = questions.sheet([asked], values, kind)
        assert made.width == questions.FIRST * questions.SIDE


def test_the_worst_of_a_kind_come_first_and_what_is_right_is_not_among_them(values):
    places = values.index[values["kind"] == "or"]
    values.loc[places, questions.ASKED] = [1.0, 0.5, 0.2]
    assert questions.worst(values, "or")[questions.ASKED].to_list() == [0.2, 0.5]


def test_only_what_has_an_unlike_can_be_worse_than_without(values):
    values[questions.ASKED], values[questions.ALONE] = 0.2, 0.9
    cells = questions.figures(values)
    worse = {kind: made.get("worse than without unlike") for kind, made in cells.items()}
    assert worse["not a colour"] == "3 of 3"
    assert worse["or, but not"] == "3 of 3"
    assert worse["or"] is worse["and, two"] is None


def test_where_nothing_is_known_a_query_finds_what_chance_does(pool, asked, tiny):
    images = np.random.default_rng(0).permutation(pool.vectors)
    spoilt = questions.ask(replace(pool, vectors=images), tiny, seed=10, each=10).values
    chance = spoilt["relevant"] / len(pool)
    for way in questions.WAYS:
        assert abs((spoilt[way] - chance).mean()) < 0.1
    known = asked.values[questions.ASKED] - asked.values["relevant"] / len(pool)
    assert known.mean() > 0.5


def test_a_text_that_says_nothing_is_told_to_match_nothing_or_has_no_verdict(pool, tiny):
    images = np.random.default_rng(0).permutation(pool.vectors)
    values = questions.ask(replace(pool, vectors=images), tiny, seed=10, each=3).values
    assert values[questions.NOTHING].isna().all()
    cells = questions.figures(values)
    assert questions.cell(cells["absent"][questions.NOTHING]) == "no verdict"


@pytest.mark.parametrize(
    ("kind", "column", "value", "complaint"),
    [
        ("or", questions.ASKED, 1.2, "or, as a query is 1.2, and has to be from 0 to 1"),
        ("or", questions.SUMS, np.nan, "or, plain sums: 3 of 3 have no figure"),
        ("absent", questions.NOTHING, -1, "absent, told that nothing matches is -1"),
        ("plain", questions.ASKED, 0.5, "plain: the same text finds something else as a query"),
        ("absent", "relevant", [1, 0, 0], "absent: of some questions something is right"),
    ],
)
def test_what_cannot_be_of_hard_questions_is_not_printed(values, kind, column, value, complaint):
    refuse(questions.impossible(values, len(values)))
    values.loc[values["kind"] == kind, column] = value
    with pytest.raises(Impossible, match=complaint):
        refuse(questions.impossible(values, len(values)))


def test_questions_that_were_not_asked_are_missed(values):
    with pytest.raises(Impossible, match="questions: 1 were done, and 2 claimed"):
        refuse(questions.impossible(values[:1], 2))


def test_a_report_has_each_gap_and_writes_sheets(pool, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(questions, "threshold_of", lambda pool, encoder: None)
    lines = [*questions.report({10: pool}, tiny, str(tmp_path), each=1)]
    for gap in situations(tiny, pool.vectors):
        assert sum(line.startswith(f"\n| {gap}, held out |") for line in lines) == 1
        assert f"\nThe worst, {gap}:\n" in lines
    assert len([*tmp_path.rglob("*.png")]) == 3 * len(
        {*questions.ask(pool, tiny, 10, 1).values["kind"]}
    )
    assert ABSENT[0] in "".join(lines)
