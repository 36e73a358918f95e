"""What the best and the worst queries found, and what several found wrongly, as pictures."""

import html

from IPython.display import HTML

from ..evaluation.judgements import Judgements
from ..evaluation.measuring import Evaluation, nearest, shared_mistakes
from ..images.gallery import grid_html, shortened

_SHOWN = 5
_NAMED = 3
_MARKS = {
    "right": "\N{CHECK MARK} right",
    "wrong": "\N{BALLOT X} wrong",
    "not judged": "? not judged",
}


def best_and_worst(
    evaluation: Evaluation,
    judgements: Judgements,
    each: int = 2,
    metric: str = "average precision",
) -> HTML:
    """Show the first hits of the queries with the lowest and the highest values of a metric.

    Parameters
    ----------
    evaluation : Evaluation
    judgements : Judgements
        Those that it was made with.
    each : int
        How many of the worst, and of the best.
    metric : str
        A column of `evaluation.values`.

    Returns
    -------
    IPython.display.HTML
        Each picture says whether it is right, if anybody judged it.
    """
    values = evaluation.values.dropna(subset=metric)
    worst = values.nsmallest(each, metric).index
    best = values.drop(worst).nlargest(each, metric).index
    parts = []
    for words, queries in (("The worst", worst), ("The best", best)):
        parts += [f"<h4>{words}, by {html.escape(metric)}</h4>"]
        parts += [_answer(evaluation, judgements, query, metric) for query in queries]
    return HTML("".join(parts))


def failing_together(evaluation: Evaluation, judgements: Judgements) -> HTML:
    """Show the wrong images that most queries find, and which queries they are.

    Parameters
    ----------
    evaluation : Evaluation
    judgements : Judgements
        Those that it was made with.

    Returns
    -------
    IPython.display.HTML
    """
    mistakes = list(shared_mistakes(evaluation, judgements).items())[:_SHOWN]
    if not mistakes:
        return HTML("<p><b>No two queries find the same wrong image.</b></p>")
    captions = []
    for place, queries in mistakes:
        name = judgements.pool.labels[place] or judgements.pool.filepaths[place]
        named = ", ".join(map(shortened, queries[:_NAMED]))
        more = f" and {len(queries) - _NAMED} more" if len(queries) > _NAMED else ""
        captions.append(f"{name}\nwrong for {len(queries)} queries: {named}{more}")
    paths = judgements.pool.paths(place for place, _ in mistakes)
    return HTML(grid_html(paths, captions, _SHOWN, "Wrong for several queries"))


def _answer(evaluation: Evaluation, judgements: Judgements, query: int, metric: str) -> str:
    found = nearest(evaluation, judgements, query, _SHOWN)
    names = [judgements.pool.labels[place] or judgements.pool.filepaths[place] for place in found]
    marks = [_MARKS[judgements.verdict(query, place)] for place in found]
    captions = [f"{mark}\n{name}" for mark, name in zip(marks, names, strict=True)]
    title = f"{judgements.queries[query]}: {metric} {evaluation.values.loc[query, metric]:.2f}"
    return grid_html(judgements.pool.paths(found), captions, _SHOWN, title)
