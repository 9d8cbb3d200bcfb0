"""Fixed attention: bounds that trained models keep, and weights that meet them."""

import pytest

from listcomp_utils.config import ConfigError
from listcomp_utils.construction.fixed_attention import (
    fixed_attention_bound,
    train_fixed_attention,
)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.75])
def test_trained_models_stay_below_the_bound(alpha):
    trained = train_fixed_attention(4, 12, alpha, steps=200)
    assert trained.per_list <= trained.bound == fixed_attention_bound(4, alpha)
    assert trained.copied == 0
    if alpha <= 0.5:
        assert trained.o1 <= trained.bound
    else:
        assert trained.o1 == 1


def test_the_same_training_copies_where_attention_is_learned():
    trained = train_fixed_attention(2, 8, None, steps=400)
    assert trained.per_list == trained.copied == trained.bound == 1


def test_one_half_meets_its_bound():
    trained = train_fixed_attention(6, 16, 0.5, seed=1, steps=400)
    assert trained.o1 == trained.bound == pytest.approx(7 / 12)


def test_a_training_is_repeatable():
    same = [train_fixed_attention(3, 4, 0.6, seed=5, steps=20) for _ in range(2)]
    assert same[0] == same[1]


def test_bounds():
    assert fixed_attention_bound(100, 0.5) == pytest.approx(0.505)
    assert fixed_attention_bound(100, 0.6) == pytest.approx(0.9901)
    assert fixed_attention_bound(2, 0.9) == 0.75


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((0, 4, 0.5), "n_digits"),
        ((4, 0, 0.5), "d_model"),
        ((4, 4, 1.5), "alpha"),
        ((4, 4, 0.5, 0, 0), "steps"),
    ],
)
def test_wrong_values_are_refused_by_name(values, name):
    with pytest.raises(ConfigError, match=name):
        train_fixed_attention(*values)
