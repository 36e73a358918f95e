import numpy as np
import pytest

from helpers.encoding import unit_vectors


def test_one_or_many_become_float32_of_unit_length():
    for given in ([3, 4], [[3, 4], [0, 2]], np.ones((5, 8), np.float64)):
        units = unit_vectors(given)
        assert units.shape == np.shape(given)
        assert units.dtype == np.float32
        assert np.allclose(np.linalg.norm(units, axis=-1), 1, atol=1e-6)
    assert unit_vectors([3, 4]) == pytest.approx([0.6, 0.8])
    assert unit_vectors(np.empty((0, 8))).shape == (0, 8)


@pytest.mark.parametrize("wrong", [[1, np.nan], [np.inf, 1], [[1, 1], [1, -np.inf]]])
def test_what_is_not_finite_is_refused(wrong):
    with pytest.raises(ValueError, match="not finite"):
        unit_vectors(wrong)


@pytest.mark.parametrize("wrong", [[0, 0], [[1, 1], [0, 0]], [1e-9, 0]])
def test_what_points_nowhere_is_refused(wrong):
    with pytest.raises(ValueError, match="length zero"):
        unit_vectors(wrong)
