import pandas as pd
import pytest

from .benchmarks import latency
from .benchmarks.possible import Impossible


@pytest.fixture
def times():
    """What two queries took, as in the README."""
    row = {"enter to pictures": 155.3, "pictures": 24, "in the kernel": 29, "text": 7, "Milvus": 18}
    return pd.DataFrame([row | {"asked": "a red star"}, row | {"asked": "a blue fish"}])


def test_the_table_has_the_medians_of_each_model(times):
    figures = latency.medians({"the demo's": times, "another": times}, 2)
    assert "| the demo's | 155 | 29 | 7 | 18 |" in latency.as_markdown(figures)
    assert "| another | 155 | 29 | 7 | 18 |" in latency.as_markdown(figures)


def test_parts_may_be_rounded_up(times):
    times.loc[0, ["in the kernel", "text", "Milvus"]] = [3, 2, 2]
    assert len(latency.medians({"the demo's": times}, 2)) == 2


@pytest.mark.parametrize(
    ("figure", "value", "complaint"),
    [
        ("enter to pictures", 20, "'a red star': all takes 20 or less, and the kernel, a part"),
        ("enter to pictures", -5, "'a red star': enter to pictures is -5, and has to be above 0"),
        ("in the kernel", 15, "the kernel takes 15 or less, and text and Milvus, a part of it, 24"),
        ("text", -1, "'a red star': text is -1, and has to be at least 0"),
        ("Milvus", float("nan"), "'a red star': Milvus is nan"),
        ("pictures", 0, "'a red star': pictures is 0, and has to be above 0"),
        ("asked", "a blue fish", "the demo's: new queries: 1 were done, and 2 claimed"),
    ],
)
def test_times_that_cannot_be_are_not_printed(figure, value, complaint, times):
    times.loc[0, figure] = value
    with pytest.raises(Impossible, match=complaint):
        latency.medians({"the demo's": times}, 2)
