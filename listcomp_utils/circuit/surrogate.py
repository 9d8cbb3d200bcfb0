"""The smallest model of the study's order mechanism: one rank a digit and eight scalars.

    fitted = fit_surrogate(config, split.train, seed=0)
    fitted.model.n_parameters                       # 108 for 100 digits
    logits = fitted.model(split.held_out)           # (list, 2, digit)
    compare({"fitted": fitted.model}, trained_logits, axis.scores, split.held_out)

For a list (a, b), SEP prefers the first digit by its rank, alpha = sigmoid(rho_a - rho_b + c), and
holds   SEP_t = (alpha - 1/2) q rho_t + alpha K [t = a] + (1 - alpha) K [t = b].
With beta = sigmoid(gamma_0 + gamma_1 (2 alpha - 1)), o2's attention to SEP, the logits are
    o1_t = SEP_t + p rho_t,    o2_t = beta SEP_t + (m_0 + m_1 beta) rho_t.
The form is that of the two-layer model of Farrell et al., "Order by Scale" (2025), with its
embeddings reduced to a rank and an orthogonal content vector each.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy import optimize, stats
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from listcomp_utils.circuit.formula import Lists
from listcomp_utils.circuit.order_axis import pairwise_margins, unequal
from listcomp_utils.config import Config, ConfigError, check_names, coerce, require
from listcomp_utils.task import check_lists

INITIAL: dict[str, float] = {
    "offset": 0.0,
    "content": 400.0,
    "order": 400.0,
    "first_constant": -200.0,
    "moderation_bias": 1.0,
    "moderation_slope": -4.0,
    "second_constant": -280.0,
    "second_moderated": 240.0,
}
"""Starting c, K, q, p, gamma_0, gamma_1, m_0, m_1: logits this large are where copying is sharp."""

SPREAD = 0.3
"""Standard deviation of the initial ranks, evenly spaced and dealt to the digits at random."""

BATCH = 500


class RankModel(nn.Module):
    """One rank a digit, one order axis, content without interference between digits."""

    def __init__(
        self, ranks: Float[Tensor, "digit"], scalars: Mapping[str, float] = INITIAL
    ) -> None:
        super().__init__()
        check_names(scalars, list(INITIAL), "scalar")
        self.rank = nn.Parameter(ranks.detach().clone())
        for name, value in {**INITIAL, **scalars}.items():
            self.register_parameter(name, nn.Parameter(torch.tensor(value, dtype=ranks.dtype)))

    @property
    def n_parameters(self) -> int:
        """How many numbers are fitted."""
        return sum(parameter.numel() for parameter in self.parameters())

    def attention(self, lists: Lists) -> Float[Tensor, "list"]:
        """alpha, the share of the first digit in SEP."""
        first, second = self.rank[lists].unbind(1)
        return torch.sigmoid(first - second + self.offset)

    def moderation(self, attention: Float[Tensor, "list"]) -> Float[Tensor, "list"]:
        """beta, the share of SEP in what o2 reads."""
        return torch.sigmoid(self.moderation_bias + self.moderation_slope * (2 * attention - 1))

    def forward(self, lists: Lists) -> Float[Tensor, "list output digit"]:
        """Logits of both outputs."""
        alpha = self.attention(lists)
        beta = self.moderation(alpha)
        shares = torch.stack([torch.ones_like(beta), beta], 1)
        constants = [self.first_constant.expand_as(beta)]
        constants += [self.second_constant + self.second_moderated * beta]
        slopes = shares * self.order * (alpha - 0.5)[:, None] + torch.stack(constants, 1)
        held = shares[..., None] * self.content * torch.stack([alpha, 1 - alpha], 1)[:, None]
        # A digit that the list holds twice gets both contents.
        places = lists[:, None].expand(-1, 2, -1)
        return (slopes[..., None] * self.rank).scatter_add(2, places, held)


@dataclass(frozen=True)
class Fitted:
    """A fitted surrogate, its loss after each step and the seconds it took."""

    model: RankModel
    losses: tuple[float, ...]
    seconds: float


def fit_surrogate(
    config: Config,
    train_lists: Lists,
    seed: int = 0,
    steps: int = 1500,
    lr: float = 0.03,
    ranks: Float[Tensor, "digit"] | None = None,
    scalars: Mapping[str, float] = INITIAL,
) -> Fitted:
    """Fit ranks and scalars to copying `train_lists`: cross-entropy, Adam, cosine schedule.

    Ranks start at `ranks`, brought to mean 0 and standard deviation `SPREAD`, or at evenly spaced
    values in an order drawn by `seed`. Each scalar's
    learning rate is `lr` times its starting size (at least 0.3), as their sizes differ 100-fold.

    Raises:
        ConfigError: for lists that are not of two digits, or steps, lr or ranks out of range.
    """
    steps, seed = coerce("steps", steps, int), coerce("seed", seed, int)
    lr = coerce("lr", lr, float)
    require(config, "the surrogate", list_len=2)
    if steps < 1 or not 0 < lr < float("inf"):
        raise ConfigError(f"steps must be at least 1 and lr above 0, got steps={steps}, lr={lr}")
    if ranks is not None and (len(ranks) != config.n_digits or not ranks.isfinite().all()):
        raise ConfigError(f"ranks must be {config.n_digits} finite numbers, got {len(ranks)}")
    train_lists = check_lists(config, train_lists)
    if len(train_lists) == 0:
        raise ConfigError("train_lists must hold at least one list, got 0")
    generator = torch.Generator().manual_seed(seed)
    if ranks is None:
        even = torch.linspace(-(3**0.5), 3**0.5, config.n_digits) * SPREAD
        ranks = even[torch.randperm(config.n_digits, generator=generator)]
    else:
        ranks = (ranks - ranks.mean()) / ranks.std().clamp_min(1e-9) * SPREAD
    model = RankModel(ranks.float(), scalars)
    groups = [
        {"params": [value], "lr": lr * (SPREAD if value.ndim else max(0.3, abs(value.item())))}
        for value in model.parameters()
    ]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses, start = [], time.perf_counter()
    for _ in range(steps):
        chosen = torch.randint(len(train_lists), (BATCH,), generator=generator)
        lists = train_lists[chosen]
        loss = cross_entropy(model(lists).flatten(0, 1), lists.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return Fitted(model, tuple(losses), time.perf_counter() - start)


def read_off(
    ranks: Float[Tensor, "digit"],
    lists: Lists,
    model_margins: Float[Tensor, "unequal output"],
) -> RankModel:
    """Scalars fitted to a trained model's margins by least squares, with the ranks held fixed.

    `model_margins` are `pairwise_margins` of the trained model on `lists`; each output counts by
    its own variance.
    """
    lists, size = unequal(lists), model_margins.std(0)

    def model(scalars: np.ndarray) -> RankModel:
        return RankModel(ranks.double(), dict(zip(INITIAL, scalars.tolist(), strict=True)))

    @torch.no_grad()
    def error(scalars: np.ndarray) -> np.ndarray:
        own = pairwise_margins(model(scalars)(lists), lists)
        return ((own - model_margins) / size).flatten().numpy()

    start = np.array(list(INITIAL.values()))
    # Those that are logits start at the size of the margins.
    start[np.abs(start) > 10] *= size.mean().item() / INITIAL["content"]
    return model(optimize.least_squares(error, start, x_scale=np.abs(start).clip(0.3)).x)


@torch.no_grad()
def compare(
    surrogates: Mapping[str, RankModel],
    model_logits: Float[Tensor, "list output vocabulary"],
    scores: Float[Tensor, "digit"],
    lists: Lists,
) -> pd.DataFrame:
    """A row for each surrogate beside the model it stands for, best on held-out lists.

    `lists_right` is the share of lists right, `rank_correlation` Spearman's, of ranks and the
    model's `scores` of the digits. `errors_shared` is the share of the model's wrong lists that the
    surrogate gets wrong too, `by_chance` what it would be if errors were independent. Of the
    margins at o1 and o2: Pearson's correlation, and the share of the model's variance explained by
    the surrogate's times a constant.
    """
    if len(lists) != len(model_logits):
        raise ConfigError(
            f"model_logits must be of the {len(lists)} lists, got {len(model_logits)}"
        )
    wrong = (model_logits.argmax(-1) != lists).any(1)
    theirs = pairwise_margins(model_logits.double(), lists)
    rows = []
    for name, surrogate in surrogates.items():
        logits = surrogate(lists).double()
        own_wrong = (logits.argmax(-1) != lists).any(1)
        ours = pairwise_margins(logits, lists)
        scale = (ours * theirs).sum(0) / ours.square().sum(0)
        rest = (theirs - scale * ours).square().mean(0) / theirs.var(0, correction=0)
        row = {
            "surrogate": name,
            "lists_right": 1 - own_wrong.double().mean().item(),
            "rank_correlation": stats.spearmanr(surrogate.rank, scores).statistic,
            "errors_shared": own_wrong[wrong].double().mean().item(),
            "by_chance": own_wrong.double().mean().item(),
        }
        for output in (0, 1):
            pair = torch.stack([ours[:, output], theirs[:, output]])
            row[f"margin_correlation_o{output + 1}"] = torch.corrcoef(pair)[0, 1].item()
            row[f"margin_variance_o{output + 1}"] = 1 - rest[output].item()
        rows.append(row)
    return pd.DataFrame(rows)
