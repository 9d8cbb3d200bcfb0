"""What order latents go by, and who holds the order where they are off."""

from dataclasses import replace

import pytest
import torch

from listcomp_utils.features.latents import binary
from listcomp_utils.features.order_latents import (
    correlation,
    held_points,
    order_elsewhere,
    order_maps,
    what_decides,
    without_order_latents,
)


def test_latents_that_are_the_order_go_by_its_sign(true_match, study_match):
    found = what_decides(true_match)
    assert found.latent.tolist() == [10, 11] and (found["by sign"] > 0.99).all()
    assert (found[["by first digit", "by second digit"]] >= 0.5).all(axis=None)
    order, *latents = order_maps(true_match).values()
    assert order.shape == (10, 10) and abs(order).max() <= 1
    assert (latents[0] >= 0).all() and (latents[1] <= 0).all()
    assert (order[-1] >= order[0]).all()  # the last row draws most attention
    assert all(one.shape == (15, 15) for one in order_maps(study_match).values())


def test_a_latent_that_is_a_first_digit_goes_by_it(small, true_match):
    """Bands: on wherever certain digits stand first."""
    first = torch.isin(small.lists[:, 0], torch.tensor([2, 5]))
    banded = true_match.latents.clone()
    banded[:, 10] = first.float()
    found = what_decides(replace(true_match, latents=banded)).iloc[0]
    assert found["by first digit"] == 1 and found["on"] == pytest.approx(0.2)
    assert found["by second digit"] == pytest.approx(0.8) and found["by sign"] < 0.8


def test_the_others_hold_what_the_order_latents_leave(small, true_match, dead_match, study_match):
    """With the true dictionary, the digits hold the same order in every list: none."""
    rest = without_order_latents(true_match)
    assert rest.std() < 1e-3 * small.order.std()
    flat = replace(true_match, latents=binary(true_match.latents, true_match.digits))
    on_off = without_order_latents(true_match, on_off=True)
    torch.testing.assert_close(on_off, without_order_latents(flat))
    assert not torch.allclose(on_off, rest)
    figures = order_elsewhere(true_match)
    assert figures["order latents, signed and added, with the order"] > 0.999
    nothing = order_elsewhere(dead_match)
    assert nothing["lists with no order latent on"] == 1
    assert nothing["far from their reverse, none on: the reverse has one on"] == 0
    assert nothing["far from their reverse: one on in one order only"] == 0
    assert figures["far from their reverse: the reverse has one on"] == 1
    points = held_points(true_match)
    assert list(points) == ["no order latent on", "one on"]
    assert sum(len(x) for x, _ in points.values()) == 100
    assert sum(len(x) for x, _ in held_points(study_match).values()) == 250


def test_correlations_need_two_lists():
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert str(correlation([1], [1])) == "nan"
