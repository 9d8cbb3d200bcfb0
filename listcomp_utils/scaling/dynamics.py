"""What happens to the order mechanism while the study's model trains.

courses = training_dynamics(Config.preset("study"), seeds=range(3))
courses[0].rows[-1].order_alignment            # near 1 once the order is known
write_courses(courses, "artifacts/dynamics.json")

On the plateau SEP holds the sum of both digits with equal weights, the same for (a, b) and (b, a),
and the loss cannot go below ln 2 an output. Order becomes readable as the digits' attention scores
s_t spread along the axis on which the positions' difference reads out, U_t . (P_1 - P_2): each of
the two is worth learning only in proportion to the other, so that both wait.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from listcomp_utils.ablation.edges import knock_out
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.files import check_writable, shipped_dir, write_atomically
from listcomp_utils.hooks import score_with
from listcomp_utils.mask import build_mask, edge_label, edges
from listcomp_utils.model import add_hooks, make_native_model
from listcomp_utils.task import lists_to_score
from listcomp_utils.training.fast_gradients import (
    EMBED,
    K0,
    POSITIONS,
    Q0,
    UNEMBED,
    has_closed_form,
)
from listcomp_utils.training.loop import train_many
from listcomp_utils.training.progress import Progress
from listcomp_utils.training.stacks import ModelStack

FILE = "dynamics.json"

LISTS = 1_000
"""Lists that the edges' costs are measured on at each checkpoint."""


@dataclass(frozen=True)
class DynamicsRow:
    """The state of one model after `step` steps."""

    step: int
    train_loss: float
    """Mean cross entropy (nats) over the training lists."""
    per_token: float
    """Right outputs among all outputs, on the training lists."""
    attention_mean: float
    """Mean of SEP's attention to d1 in layer 0 over all pairs of digits."""
    attention_spread: float
    """Its standard deviation: the two orders of a pair differ through it."""
    score_spread: float
    """Standard deviation over the digits of the score s_t = q_SEP . k(E_t) / sqrt(d_head)."""
    readout_spread: float
    """Standard deviation over the digits of U_t . (P_1 - P_2)."""
    order_alignment: float
    """Absolute correlation of those two over the digits."""
    order_distance: float
    """Root mean square distance of SEP's vectors for (a, b) and (b, a), in units of the spread
    (root mean square distance from their mean) of those vectors over all pairs."""
    edge_costs: dict[str, float]
    """Accuracy per token lost when an edge is removed (zeroed), for edges that cost anything."""


@dataclass(frozen=True)
class Course:
    """One model's training."""

    config: dict[str, Any]
    rows: tuple[DynamicsRow, ...]


def training_dynamics(
    config: Config, seeds: Iterable[int], progress: Progress = "auto"
) -> list[Course]:
    """Train one model a seed and measure each at every evaluation (`config.eval_every`).

    Raises:
        ConfigError: for another architecture than the study's with lists of two.
    """
    if not has_closed_form(config) or config.list_len != 2:
        raise ConfigError(
            "training_dynamics needs the study's architecture (preset 'study') and list_len 2, "
            f"got {config.slug}"
        )
    seeds = list(seeds)
    lists = lists_to_score(config, LISTS)
    seen: list[list[dict[str, Any]]] = [[] for _ in seeds]

    def look(step: int, stack: ModelStack) -> None:
        for rows, member in zip(seen, stack.members, strict=True):
            rows.append(measure(config, member) | {"edge_costs": edge_costs(member, lists)})

    results = train_many(config, seeds, progress, callback=look)
    return [
        Course(
            result.config.to_dict(),
            tuple(
                DynamicsRow(row.step, row.train_loss, row.train.per_token, **measured)
                for row, measured in zip(result.history.evaluations, rows, strict=False)
            ),
        )
        for result, rows in zip(results, seen, strict=True)
    ]


@torch.no_grad()
def measure(config: Config, model: nn.Module) -> dict[str, float]:
    """The order mechanism's figures, from the weights of a model without hooks."""
    weights = {name: weight.double() for name, weight in model.state_dict().items()}
    embed, positions = weights[EMBED], weights[POSITIONS]
    query = weights[Q0] @ (embed[config.sep_id] + positions[config.sep_position])
    direction = weights[K0].T @ query / config.d_head**0.5
    digits = embed[: config.n_digits]
    scores, offset = digits @ direction, (positions[0] - positions[1]) @ direction
    readout = weights[UNEMBED][: config.n_digits] @ (positions[0] - positions[1])
    first = torch.sigmoid(scores[:, None] - scores + offset)[..., None]
    separator = first * (digits[:, None] + positions[0])
    separator = separator + (1 - first) * (digits + positions[1])
    reversal = separator - separator.transpose(0, 1)
    spread = separator - separator.mean((0, 1))
    return {
        "attention_mean": first.mean().item(),
        "attention_spread": first.std(correction=0).item(),
        "score_spread": scores.std(correction=0).item(),
        "readout_spread": readout.std(correction=0).item(),
        "order_alignment": abs(_correlation(scores, readout)),
        "order_distance": (_length(reversal) / _length(spread)).item(),
    }


def edge_costs(model: nn.Module, lists: Tensor) -> dict[str, float]:
    """Accuracy per token lost without each attention edge, rows not renormalised."""
    config = model.listcomp_config
    copy = make_native_model(config)
    copy.load_state_dict(model.state_dict())
    bridge = add_hooks(copy)
    whole = score_with(bridge, lists, []).per_token
    costs = {
        edge_label(config, edge): whole
        - score_with(bridge, lists, knock_out(bridge, [edge], "zero")).per_token
        for edge in edges(build_mask(config))
    }
    return {label: cost for label, cost in costs.items() if cost}


def write_courses(courses: Iterable[Course], path: str | Path) -> None:
    """Save courses as JSON; raises ConfigError for a folder that cannot be written."""
    path = Path(path)
    check_writable(path.parent)
    content = json.dumps(_rounded([asdict(course) for course in courses]))
    write_atomically(path, f"{content}\n".encode())


def read_courses(path: str | Path | None = None) -> list[Course]:
    """The courses in a file, or those that ship (`make plateau`); empty when there are none."""
    path = shipped_dir() / FILE if path is None else Path(path)
    if not path.is_file():
        return []
    return [
        Course(course["config"], tuple(DynamicsRow(**row) for row in course["rows"]))
        for course in json.loads(path.read_text())
    ]


def _rounded(value: Any) -> Any:
    """Five figures of every number: the file ships."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list | tuple) else value


def _correlation(one: Tensor, other: Tensor) -> float:
    return torch.corrcoef(torch.stack([one, other]))[0, 1].item()


def _length(vectors: Tensor) -> Tensor:
    return vectors.square().sum(-1).mean().sqrt()
