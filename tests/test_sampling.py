"""Each candidate's frequency is its probability; budgets are met exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsds.sampling import inclusion_probabilities, multinomial, systematic, top, within_tokens

DRAWS = 20_000
masses = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=40).map(lambda p: np.array(p) / np.sum(p))


def within_four_errors(frequency, p):
    error = np.sqrt(np.maximum(p * (1 - p), 1e-12) / DRAWS)
    assert (np.abs(frequency - p) <= 4 * error + 1e-9).all(), (frequency, p)


def test_systematic_frequencies_are_the_inclusion_probabilities():
    p = np.array([0.4, 0.2, 0.15, 0.1, 0.05, 0.05, 0.03, 0.02])
    pi = inclusion_probabilities(p, 4)
    rng = np.random.default_rng(0)
    draws = np.array([systematic(pi, rng) for _ in range(DRAWS)])
    assert set(np.unique(draws)) == {0, 1} and (draws.sum(axis=1) == 4).all()
    within_four_errors(draws.mean(axis=0), pi)


def test_multinomial_frequencies_are_the_probabilities():
    p = np.array([0.5, 0.25, 0.125, 0.125])
    rng = np.random.default_rng(0)
    draws = np.array([multinomial(p, 3, rng) for _ in range(DRAWS)])
    assert (draws.sum(axis=1) == 3).all() and draws.max() == 3
    np.testing.assert_allclose(draws.mean(axis=0) / 3, p, atol=0.01)


def test_multinomial_takes_sums_that_are_one_only_nearly():
    p = np.full(3, np.float32(1 / 3)).astype(np.float64) * 1.00001
    assert multinomial(p, 1000, np.random.default_rng(0)).sum() == 1000


@settings(max_examples=300, deadline=None)
@given(masses, st.data())
def test_inclusion_probabilities_solve_their_definition(p, data):
    size = data.draw(st.integers(1, len(p)))
    pi = inclusion_probabilities(p, size)
    assert pi.sum() == pytest.approx(size, rel=1e-9)
    assert (pi <= 1).all() and (pi > 0).all()
    # One constant c for all that are not capped, and no capped one below it.
    free = pi < 1
    if free.any():
        c = (pi[free] / p[free]).mean()
        np.testing.assert_allclose(pi, np.minimum(1, c * p), rtol=1e-6)
    counts = systematic(pi, np.random.default_rng(data.draw(st.integers(0, 2**32))))
    assert counts.sum() == size and counts.max() <= 1


@settings(max_examples=200, deadline=None)
@given(masses, st.data())
def test_token_budgets_are_kept_and_used(p, data):
    tokens = np.array(data.draw(st.lists(st.integers(1, 50), min_size=len(p), max_size=len(p))))
    budget = data.draw(st.integers(1, int(tokens.sum())))
    pi = inclusion_probabilities(p, budget, tokens)
    assert (pi * tokens).sum() == pytest.approx(budget, rel=1e-9)
    repeated = np.array(data.draw(st.lists(st.integers(0, 4), min_size=len(p), max_size=len(p))))
    for drawn in (systematic(pi, np.random.default_rng(0)), repeated):
        counts = within_tokens(drawn, np.argsort(-p), tokens, budget)
        used = (tokens * counts).sum()
        assert used <= budget and (counts <= np.maximum(drawn, 1)).all()
        assert (tokens[counts < np.maximum(drawn, 1)] > budget - used).all()  # nothing more would have fitted


def test_of_the_last_candidate_that_fits_as_many_are_taken_as_fit():
    order, tokens = np.arange(3), np.array([10, 20, 3])
    assert within_tokens(np.array([2, 3, 2]), order, tokens, 67).tolist() == [2, 2, 2]
    assert within_tokens(np.array([2, 3, 0]), order, tokens, 67).tolist() == [2, 2, 1]
    assert within_tokens(np.array([1, 1, 0]), order, tokens, 30).tolist() == [1, 1, 0]


def test_everything_is_included_where_the_size_exceeds_it():
    assert inclusion_probabilities(np.array([0.9, 0.1]), 5).tolist() == [1.0, 1.0]


def test_top_breaks_ties_by_distance_then_position():
    p = np.array([0.2, 0.3, 0.3, 0.2, 0.0])
    distance = np.array([1.0, 2.0, 1.0, 0.5, 0.0])
    assert top(p, 1, (distance,)).tolist() == [0, 0, 1, 0, 0]
    assert top(p, 3, (distance,)).tolist() == [0, 1, 1, 1, 0]
    assert top(np.ones(3), 2).tolist() == [1, 1, 0]
