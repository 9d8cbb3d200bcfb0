"""Separators, dictionaries that are planted or true, and SAEs on them."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from listcomp_utils.config import Config
from listcomp_utils.features.grid import SHIPPED
from listcomp_utils.features.latents import match_latents
from listcomp_utils.features.sae import SAE, SAEConfig, train_sae
from listcomp_utils.features.sae_files import load_or_train_sae
from listcomp_utils.features.separator import separator_of, true_vectors
from listcomp_utils.model import make_model

STUDY = Config.preset("study")


@pytest.fixture(scope="session")
def separator(study_model):
    return separator_of(study_model)


@pytest.fixture(scope="session")
def study_match(separator):
    """A shipped SAE on it."""
    return match_latents(separator, load_or_train_sae(separator, SHIPPED[0]))


@pytest.fixture(scope="session")
def small():
    """Fewer digits than dimensions; the sum is the same whatever the weights, so untrained."""
    return separator_of(make_model(STUDY.replace(n_digits=10, d_model=24)))


@pytest.fixture(scope="session")
def true_sae(small):
    """The true dictionary as an SAE: a latent for each digit, and one for each end of the axis.

    Its encoder reads the weights off by the pseudo-inverse of the dictionary.
    """
    directions = torch.cat([small.embeddings, small.order_axis[None]])
    lengths = directions.norm(dim=1)
    bias = true_vectors(small)[0] - (
        small.digit_weights[0] @ small.embeddings + small.order[0] / 2 * small.order_axis
    )
    reader = torch.linalg.pinv(directions).T
    encoder = torch.cat([reader, -reader[-1:]]) * lengths[[*range(11), 10], None]
    decoder = normalize(torch.cat([directions, -directions[-1:]]), dim=1)
    return SAE(encoder, torch.zeros(12), decoder, bias, threshold=1e-4, k=3)


@pytest.fixture(scope="session")
def true_match(small, true_sae):
    return match_latents(small, true_sae)


@pytest.fixture(scope="session")
def dead_match(small, true_sae):
    """An SAE whose latents are all dead."""
    return match_latents(small, replace(true_sae, threshold=1e6))


@pytest.fixture(scope="session")
def planted():
    """A function that gives vectors of a superposed dictionary, and the dictionary."""

    def make(count: int, seed: int):
        """`count` sums of 2 of 40 directions in 20 dimensions, with weights from 0.5 to 1.5."""
        generator = torch.Generator().manual_seed(0)
        directions = normalize(torch.randn(40, 20, generator=generator), dim=1)
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.rand(count, 40, generator=generator).topk(2).indices
        weights = 0.5 + torch.rand(count, 2, generator=generator)
        return torch.einsum("nk,nkd->nd", weights, directions[chosen]) + 3, directions

    return make


@pytest.fixture(scope="session")
def trained_sae(planted):
    """An SAE trained on them, with its history."""
    return train_sae(planted(4000, 1)[0], SAEConfig(d_sae=60, k=2, steps=2000))
