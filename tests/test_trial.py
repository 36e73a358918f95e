"""An index on trial finds what exact search finds, or less; the collection is not touched."""

import numpy as np
import pytest

from helpers.collection.trial import search_by_index


@pytest.fixture
def vectors() -> np.ndarray:
    vectors = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_an_exact_index_finds_exactly_the_nearest(vectors):
    found = search_by_index(vectors, vectors[:7], 10, "FLAT", {}, {})
    exact = np.argsort(-(vectors[:7] @ vectors.T), axis=1)[:, :10]
    np.testing.assert_array_equal(found, exact)


def test_a_graph_finds_nearly_all(vectors):
    found = search_by_index(vectors, vectors[:50], 10)
    exact = np.argsort(-(vectors[:50] @ vectors.T), axis=1)[:, :10]
    shares = [len({*one} & {*other}) / 10 for one, other in zip(found, exact, strict=True)]
    assert np.mean(shares) > 0.8


def test_what_is_not_there_cannot_be_found(vectors):
    found = search_by_index(vectors[:3], vectors[:2], 5, "FLAT", {}, {})
    assert (found[:, 3:] == -1).all()
    assert set(found[0, :3]) == {0, 1, 2}
