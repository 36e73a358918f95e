import pytest

from .benchmarks import possible


def test_nothing_to_complain_about_lets_a_benchmark_go_on():
    possible.refuse([])
    possible.refuse(possible.no_faster("the whole", [99, 120], "a part", [100, 110]))


def test_all_complaints_are_said_and_what_to_do():
    with pytest.raises(possible.Impossible) as refused:
        possible.refuse([*possible.positive("a rate", 0), *possible.cosine("vectors", 1.1)])
    said = str(refused.value)
    assert "- a rate is 0, and has to be above 0\n" in said
    assert "- the cosine of vectors is 1.1, and has to be from -1 to 1\n" in said
    assert "measure again without them" in said
    assert refused.value.code == said  # so that the command fails, without a traceback


@pytest.mark.parametrize(
    ("rate", "part", "is_refused"),
    [
        (105, 100, False),
        (111, 100, True),
        ([90, 130, 140], [100, 101, 102], False),
        ([130, 140], [100, 118], True),
    ],
)
def test_turns_tell_what_is_noise(rate, part, is_refused):
    assert bool([*possible.no_faster("a", rate, "b", part)]) is is_refused


@pytest.mark.parametrize(
    ("time", "part", "is_refused"), [(9.1, 10, False), (8.9, 10, True), ([8, 12], [9, 13], False)]
)
def test_a_whole_takes_as_long_as_its_part(time, part, is_refused):
    assert bool([*possible.no_shorter("a", time, "b", part)]) is is_refused


def test_rounding_is_no_fault():
    assert not [*possible.cosine("a vector and itself", 1.00000012)]
    assert [*possible.cosine("a vector and itself", 1.001)]
