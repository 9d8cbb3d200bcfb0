"""The separator is the known sum, and vectors in its place are scored as the model would."""

import pytest
import torch
from transformer_lens.utilities import get_act_name

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.features.separator import (
    NO_ORDER,
    PLACES,
    cluster_means,
    codes_by_hand,
    order_held,
    principal_part,
    quality,
    refitted,
    separator_of,
    true_vectors,
    written,
)
from listcomp_utils.generation import accuracy
from listcomp_utils.hooks import logits_with, replace_at
from listcomp_utils.model import make_model

STUDY = Config.preset("study")


def test_a_perfect_reconstruction_changes_accuracy_by_exactly_zero(study_model, separator):
    own = accuracy(study_model)
    spliced = quality(separator, separator.vectors.clone())
    assert (spliced.per_token, spliced.per_list) == (own.per_token, own.per_list)
    assert spliced.explained == 1 and spliced.mse == 0
    held_out = separator.lists[separator.held_out]
    own = accuracy(study_model, held_out)
    assert len(held_out) == 2000
    assert (spliced.held_out_per_token, spliced.held_out_per_list) == (own.per_token, own.per_list)
    known = true_vectors(separator)
    torch.testing.assert_close(known, separator.vectors, atol=1e-5, rtol=0)
    assert quality(separator, known).per_list == spliced.per_list


def test_what_is_written_is_what_the_running_model_writes(study_model, separator):
    generator = torch.Generator().manual_seed(0)
    edited = separator.vectors + torch.randn(separator.vectors.shape, generator=generator)
    hooks = [(get_act_name("resid_post", 0), replace_at([2], edited[:, None]))]
    answers = logits_with(study_model, separator.lists, hooks)[
        :, STUDY.prediction_positions
    ].argmax(-1)
    found = written(separator, edited)
    assert torch.equal(found, answers)
    assert not torch.equal(found, written(separator, separator.vectors))


def test_baselines_are_ordered_as_what_they_may_use(separator):
    without_places = refitted(separator, separator.digits_at.sum(1))
    digits = quality(separator, without_places)
    places = quality(separator, refitted(separator, separator.digits_at.flatten(1)))
    assert digits.explained < places.explained < 1
    # Digits alone cannot tell a list from its reverse.
    assert torch.equal(without_places[1], without_places[100])
    few, many = (quality(separator, cluster_means(separator, n)).explained for n in (10, 100))
    assert 0 < few < many < digits.explained
    ranks = [quality(separator, principal_part(separator, rank)).explained for rank in (1, 5, 64)]
    assert ranks[0] < ranks[1] < ranks[2] == pytest.approx(1)
    assert torch.equal(principal_part(separator, 64), principal_part(separator, 99))
    graded = torch.cat([separator.digit_weights, separator.order[:, None]], 1)
    torch.testing.assert_close(refitted(separator, graded), separator.vectors, atol=1e-4, rtol=0)
    without = order_held(separator, true_vectors(separator, order=False))
    torch.testing.assert_close(without, separator.order.mean().expand(10_000), atol=1e-4, rtol=0)
    shifted = order_held(separator, separator.vectors + separator.order_axis / 4)
    torch.testing.assert_close(shifted, separator.order + 0.5)


def test_codes_by_hand_are_those_of_their_vectors(separator):
    codes = codes_by_hand(separator, 10, [1, 5])
    assert codes.code.tolist()[-2:] == ["principal components"] * 2
    assert codes.l0.tolist() == [2, 2, 1, 2, 1, 5]
    named = codes.set_index("code")
    places = quality(separator, refitted(separator, separator.digits_at.flatten(1)))
    assert named.per_token[PLACES] == places.per_token > named.per_token[NO_ORDER]
    last = quality(separator, principal_part(separator, 5))
    assert codes.held_out_per_list.iloc[-1] == last.held_out_per_list


def test_only_the_known_sum_is_taken(trained):
    with pytest.raises(ConfigError, match="needs list_len=2, got list_len=3"):
        separator_of(make_model(STUDY.replace(list_len=3)))
    with pytest.raises(ConfigError, match="layer_norm=True"):
        separator_of(trained.model)
    with pytest.raises(ConfigError, match="n_layers=3"):
        separator_of(make_model(STUDY.replace(n_layers=3)))
