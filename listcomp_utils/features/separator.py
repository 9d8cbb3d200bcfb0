"""What the separator holds in the study's architecture, and the outputs for vectors in its place.

separator = separator_of(model)                      # the vector of every list
quality(separator, true_vectors(separator))          # the known sum in its place

The vector is E[SEP] + P3 + alpha1 (E[d1] + P1) + alpha2 (E[d2] + P2), alpha1 + alpha2 = 1: but for
a constant, two graded digits and an order axis, (alpha1 - alpha2) / 2 (P1 - P2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int, Num
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from torch import Tensor
from torch.nn.functional import one_hot
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.circuit.formula import Weights, weights_of
from listcomp_utils.circuit.order_axis import check_pairs, compose, read_out
from listcomp_utils.config import Config
from listcomp_utils.generation import score
from listcomp_utils.hooks import run_all
from listcomp_utils.model import config_of
from listcomp_utils.task import all_lists, split_lists

PLACES, NO_ORDER = "digits at places (on-off)", "two graded digits, no order"
"""Two of `codes_by_hand`."""

Vectors = Float[Tensor, "list d_model"]


@dataclass(frozen=True)
class KnownSeparator:
    """The separator's vectors and attention on every list, with all that they are made of."""

    vectors: Vectors
    attention: Float[Tensor, "list digit_position"]
    config: Config
    weights: Weights
    lists: Int[Tensor, "list 2"]
    held_out: Bool[Tensor, "list"]
    """Lists the model was not trained on; all of them when it was trained on every list."""

    @property
    def embeddings(self) -> Float[Tensor, "digit d_model"]:
        """The digits' token embeddings."""
        return self.weights.token[: self.config.n_digits]

    @property
    def order_axis(self) -> Float[Tensor, "d_model"]:
        """P1 - P2, the difference of the digits' position embeddings."""
        return self.weights.position[0] - self.weights.position[1]

    @property
    def order(self) -> Float[Tensor, "list"]:
        """alpha1 - alpha2."""
        return self.attention[:, 0] - self.attention[:, 1]

    @property
    def digit_weights(self) -> Float[Tensor, "list digit"]:
        """Each digit's attention in each list, places added; 0 where the digit is not in it."""
        return torch.einsum("lpd,lp->ld", self.digits_at.float(), self.attention)

    @property
    def digits_at(self) -> Int[Tensor, "list 2 digit"]:
        """The lists, one-hot."""
        return one_hot(self.lists, self.config.n_digits)


@torch.no_grad()
def separator_of(model: TransformerBridge) -> KnownSeparator:
    """The separator on every list, read from the running model; raises as `check_pairs`."""
    config = config_of(model)
    check_pairs(config)
    lists, place = all_lists(config), config.sep_position
    held_out = torch.zeros(config.n_lists, dtype=torch.bool)
    held_out[split_lists(config).held_out @ torch.tensor([config.n_digits, 1])] = True
    seen = run_all(model, lists)
    return KnownSeparator(
        vectors=seen.residuals[:, 1, place],
        attention=seen.patterns[:, 0, 0, place, : config.list_len],
        config=config,
        weights=weights_of(model),
        lists=lists,
        held_out=held_out if held_out.any() else ~held_out,
    )


@torch.no_grad()
def written(separator: KnownSeparator, vectors: Float[Tensor, "n d_model"]) -> Int[Tensor, "n 2"]:
    """The tokens the model writes when the separator holds `vectors` after layer 0, exactly."""
    return read_out(separator.weights, vectors).written


def quality(separator: KnownSeparator, vectors: Vectors) -> pd.Series:
    """Errors of vectors in the separator's place, and accuracy on all lists and those held out."""
    error = (vectors - separator.vectors).double().square()
    spread = (separator.vectors - separator.vectors.mean(0)).double().square()
    figures = {"mse": error.mean().item(), "explained": 1 - (error.sum() / spread.sum()).item()}
    answers = written(separator, vectors)
    for prefix, rows in {"": slice(None), "held_out_": separator.held_out}.items():
        right = score(answers[rows], separator.lists[rows])
        figures |= {f"{prefix}per_token": right.per_token, f"{prefix}per_list": right.per_list}
    return pd.Series(figures)


def true_vectors(separator: KnownSeparator, order: bool = True) -> Vectors:
    """The known sum; without `order`, the two graded digits alone, the order axis at its mean."""
    content = separator.attention
    places = content if order else content.mean(0).expand_as(content)
    return compose(separator.weights, separator.lists, content, places)


def order_held(separator: KnownSeparator, vectors: Vectors) -> Float[Tensor, "list"]:
    """The alpha1 - alpha2 that vectors stand for along P1 - P2, given the lists' own digits."""
    axis = separator.order_axis
    return separator.order + 2 * (vectors - separator.vectors) @ axis / axis.square().sum()


def principal_part(separator: KnownSeparator, rank: int) -> Vectors:
    """The vectors from their `rank` largest principal components, of all when there are fewer."""
    vectors = separator.vectors.double().numpy()
    parts = PCA(min(rank, *vectors.shape), svd_solver="full")
    return torch.from_numpy(parts.inverse_transform(parts.fit_transform(vectors))).float()


def cluster_means(separator: KnownSeparator, count: int) -> Vectors:
    """Each list's vector replaced by the mean of its cluster, of `count` found by k-means."""
    clusters = KMeans(min(count, len(separator.lists)), random_state=0, n_init=1)
    labels = clusters.fit_predict(separator.vectors.numpy())
    return torch.from_numpy(clusters.cluster_centers_[labels]).float()


def refitted(separator: KnownSeparator, units: Num[Tensor, "list unit"]) -> Vectors:
    """The vectors' least-squares reconstruction from any code of the lists and a constant."""
    code, vectors = units.double().numpy(), separator.vectors.double().numpy()
    return torch.from_numpy(LinearRegression().fit(code, vectors).predict(code)).float()


def codes_by_hand(separator: KnownSeparator, clusters: int, ranks: Iterable[int]) -> pd.DataFrame:
    """What codes that need no training are worth: `code`, `l0` active units, and `quality`."""
    vectors = {
        ("digits in the list (on-off)", 2): refitted(separator, separator.digits_at.sum(1)),
        (PLACES, 2): refitted(separator, separator.digits_at.flatten(1)),
        (f"{clusters} clusters of lists (on-off)", 1): cluster_means(separator, clusters),
        (NO_ORDER, 2): true_vectors(separator, order=False),
        **{("principal components", rank): principal_part(separator, rank) for rank in ranks},
    }
    rows = [{"code": code, "l0": l0, **quality(separator, v)} for (code, l0), v in vectors.items()]
    return pd.DataFrame(rows)
