"""The separator's vector after layer 0: what it is made of, and what the outputs make of it.

separator = separator_of(model)                     # the vector of every list
quality(separator, vectors).held_out_per_token      # with other vectors in its place
true_vectors(separator)                             # the known sum, equal to separator.vectors
refitted(separator, separator.digits_at.flatten(1)) # the best sum from an on-off code of places

In the study's architecture the vector is a sum whose every term is known: E[SEP] + P3 +
alpha1 (E[d1] + P1) + alpha2 (E[d2] + P2), with alpha1 + alpha2 = 1. Apart from a constant that is
alpha1 E[d1] + alpha2 E[d2] + (alpha1 - alpha2) / 2 (P1 - P2): two graded digits and an order axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor
from torch.nn.functional import one_hot
from transformer_lens.model_bridge import TransformerBridge

from listcomp_utils.circuit.formula import Weights, weights_of
from listcomp_utils.circuit.order_axis import read_out
from listcomp_utils.config import Config, require
from listcomp_utils.generation import score
from listcomp_utils.hooks import run_all
from listcomp_utils.model import config_of
from listcomp_utils.task import all_lists, split_lists


@dataclass(frozen=True)
class KnownSeparator:
    """The separator's vectors and attention on every list, with all that they are made of."""

    vectors: Float[Tensor, "list d_model"]
    attention: Float[Tensor, "list digit_position"]
    """alpha1 and alpha2."""
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


@dataclass(frozen=True)
class Quality:
    """How good vectors are in the place of the separator's."""

    mse: float
    """Mean squared error of a component."""
    explained: float
    """Share of the variance explained."""
    per_token: float
    """Outputs right, a share of those of all lists."""
    per_list: float
    """Lists with both outputs right."""
    held_out_per_token: float
    held_out_per_list: float


def check_known(config: Config) -> None:
    """Raise ConfigError, naming the fields, unless the separator's vector is the sum above."""
    plain = dict(layer_norm=False, bias=False, learn_w_v=False, learn_w_o=False, n_heads=1)
    pairs = dict(list_len=2, n_layers=2, decoding="masked", positions="learned")
    require(config, "the separator's known sum", **plain, **pairs)


@torch.no_grad()
def separator_of(model: TransformerBridge) -> KnownSeparator:
    """The separator's vectors of every list, read from the running model.

    Raises:
        ConfigError: for an architecture in which the vector is not the known sum.
    """
    config = config_of(model)
    check_known(config)
    lists = all_lists(config)
    held_out = torch.zeros(config.n_lists, dtype=torch.bool)
    held_out[split_lists(config).held_out @ torch.tensor([config.n_digits, 1])] = True
    seen = run_all(model, lists)
    place = config.sep_position
    return KnownSeparator(
        vectors=seen.residuals[:, 1, place],
        attention=seen.patterns[:, 0, 0, place, : config.list_len],
        config=config,
        weights=Weights(*(weight.cpu() for weight in vars(weights_of(model)).values())),
        lists=lists,
        held_out=held_out if held_out.any() else ~held_out,
    )


@torch.no_grad()
def written(separator: KnownSeparator, vectors: Float[Tensor, "n d_model"]) -> Int[Tensor, "n 2"]:
    """The tokens the model writes when the separator holds `vectors` after layer 0, exactly.

    The outputs see nothing of the list but this vector, so the last layer alone decides.
    """
    return read_out(separator.config, separator.weights, vectors).written


def quality(separator: KnownSeparator, vectors: Float[Tensor, "list d_model"]) -> Quality:
    """Score vectors, one a list, in the place of the separator's."""
    error = (vectors - separator.vectors).double().square()
    spread = (separator.vectors - separator.vectors.mean(0)).double().square()
    answers, rows = written(separator, vectors), separator.held_out
    right = score(answers, separator.lists)
    held_out = score(answers[rows], separator.lists[rows])
    return Quality(
        mse=error.mean().item(),
        explained=1 - (error.sum() / spread.sum()).item(),
        per_token=right.per_token,
        per_list=right.per_list,
        held_out_per_token=held_out.per_token,
        held_out_per_list=held_out.per_list,
    )


def true_vectors(separator: KnownSeparator, order: bool = True) -> Float[Tensor, "list d_model"]:
    """The known sum; without `order`, the two graded digits alone, the order axis at its mean."""
    weights, config, attention = separator.weights, separator.config, separator.attention
    constant = weights.token[config.sep_id] + weights.position[config.sep_position]
    digits = separator.digit_weights @ separator.embeddings
    places = attention if order else attention.mean(0).expand_as(attention)
    return constant + digits + places @ weights.position[:2]


def order_held(
    separator: KnownSeparator, vectors: Float[Tensor, "list d_model"]
) -> Float[Tensor, "list"]:
    """The alpha1 - alpha2 that vectors stand for along P1 - P2, given the lists' own digits."""
    axis = separator.order_axis
    return separator.order + 2 * (vectors - separator.vectors) @ axis / axis.square().sum()


def principal_part(separator: KnownSeparator, rank: int) -> Float[Tensor, "list d_model"]:
    """The vectors from their `rank` largest principal components, of all when there are fewer."""
    vectors = separator.vectors.double().numpy()
    parts = PCA(min(rank, *vectors.shape), svd_solver="full")
    return torch.from_numpy(parts.inverse_transform(parts.fit_transform(vectors))).float()


def cluster_means(
    separator: KnownSeparator, count: int, seed: int = 0
) -> Float[Tensor, "list d_model"]:
    """Each list's vector replaced by the mean of its cluster, of `count` found by k-means."""
    clusters = KMeans(min(count, len(separator.lists)), random_state=seed, n_init=1)
    labels = clusters.fit_predict(separator.vectors.numpy())
    return torch.from_numpy(clusters.cluster_centers_[labels]).float()


def refitted(
    separator: KnownSeparator, units: Float[Tensor, "list unit"] | Int[Tensor, "list unit"]
) -> Float[Tensor, "list d_model"]:
    """The vectors' least-squares reconstruction from any code of the lists and a constant.

    `digits_at.sum(1)` has a unit for each digit, `digits_at.flatten(1)` one for each digit at each
    place, two of them on in each list.
    """
    design = torch.cat([units.double(), torch.ones(len(units), 1, dtype=torch.double)], 1)
    found = torch.linalg.lstsq(design, separator.vectors.double(), driver="gelsd").solution
    return (design @ found).float()
