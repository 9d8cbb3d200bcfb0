"""Representation analyses find what was put in, and nothing where there is nothing."""

from __future__ import annotations

import math

import pytest
import torch

from listcomp_utils.config import Config
from listcomp_utils.representation import (
    cosine_similarities,
    fourier_spectrum,
    principal_components,
    probe,
    reversal,
)
from listcomp_utils.task import all_lists


@pytest.fixture
def noise():
    return torch.randn(400, 8, generator=torch.Generator().manual_seed(0))


def test_components_recover_the_vectors_and_their_dimension(noise):
    parts = principal_components(noise)
    centred = noise.double() - noise.double().mean(0)
    torch.testing.assert_close(parts.scores @ parts.directions, centred)
    assert parts.explained.sum().item() == pytest.approx(1)
    assert 7 < parts.effective_dimension <= 8
    line = torch.outer(torch.arange(10.0), torch.tensor([3.0, -4.0]))
    assert principal_components(line).effective_dimension == pytest.approx(1)
    assert (parts.directions.gather(1, parts.directions.abs().argmax(1, True)) > 0).all()


def test_probes_find_labels_that_are_there_and_only_those(noise):
    labels = torch.randint(4, (400,), generator=torch.Generator().manual_seed(1))
    marked = noise.clone()
    marked[:, :4] += 6 * torch.nn.functional.one_hot(labels, 4)
    found, missing = probe(marked, labels, seed=0), probe(noise, labels, seed=0)
    assert found.score > 0.95 and found.shuffled < 0.45
    assert missing.score < 0.45 and found.n_held_out == 120
    number = noise @ torch.arange(8.0)
    assert probe(noise, number, seed=0, numeric=True).score > 0.99
    assert probe(noise, number, seed=0, numeric=True).shuffled < 0.2
    with pytest.raises(ValueError, match="two different labels"):
        probe(noise, torch.zeros(400), seed=0)
    with pytest.raises(ValueError, match="at least 10 vectors"):
        probe(noise[:5], torch.arange(5), seed=0)


def test_reversal_finds_the_axis_that_order_lies_along():
    lists = all_lists(Config(n_digits=6))
    generator = torch.Generator().manual_seed(0)
    content, axis = torch.randn(6, 8, generator=generator), torch.eye(8)[0]
    order = torch.sign((lists[:, 1] - lists[:, 0]).float())
    vectors = content[lists].sum(1) + order[:, None] * axis
    found = reversal(vectors, lists)
    assert found.explained[0].item() == pytest.approx(1)
    assert found.distance == pytest.approx(2, abs=1e-5)
    assert abs(found.directions[0] @ axis.double()).item() == pytest.approx(1)
    assert found.distance_to_others > found.distance
    with pytest.raises(ValueError, match="differs from its reverse"):
        reversal(vectors[:1], lists[:1])


def test_cosines():
    rows = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert cosine_similarities(
        rows, torch.tensor([[3.0, 3.0]])
    ).flatten().tolist() == pytest.approx([math.sqrt(0.5)] * 2)


@pytest.mark.parametrize("n_digits", [20, 21])
def test_waves_are_found_in_waves_and_not_in_noise(n_digits):
    angles = torch.arange(n_digits) * 2 * math.pi * 3 / n_digits
    waves = torch.stack([angles.cos(), angles.sin()], dim=1)
    found = fourier_spectrum(waves, permutations=200, seed=0)
    assert found.power.argmax().item() == 2 and found.power.sum().item() == pytest.approx(1)
    assert found.power[2].item() == pytest.approx(1) and found.p_value < 0.01
    random = torch.randn(n_digits, 5, generator=torch.Generator().manual_seed(0))
    assert fourier_spectrum(random, permutations=200, seed=0).p_value > 0.02
