"""One list worked through, from the digits' scores to what is written.

worked_through(config, weights, [(60, 44), (44, 60)])     # a row a list
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from listcomp_utils.circuit.formula import Weights
from listcomp_utils.circuit.order_axis import order_axis, outputs_of, separator
from listcomp_utils.config import Config


def worked_through(
    config: Config, weights: Weights, lists: Sequence[tuple[int, int]]
) -> pd.DataFrame:
    """The steps of the computation on lists of two, a row a list (a, b).

    Columns: `list`; `s_a`, `s_b`, the digits' scores at SEP; `alpha_1`, SEP's attention to the
    first; `beta`, o2's attention to SEP; `o1_a`, `o1_b`, `o2_a`, `o2_b`, the logits of both digits
    at both outputs; `written`. Raises ConfigError as `order_axis`.
    """
    chosen = torch.as_tensor(lists)
    axis, held = order_axis(config, weights), separator(config, weights, chosen)
    found = outputs_of(config, weights, chosen)
    both = found.logits.gather(2, chosen[:, None].expand(-1, 2, -1)).flatten(1)
    names = ("o1_a", "o1_b", "o2_a", "o2_b")
    return pd.DataFrame(
        {
            "list": [f"{a}, {b}" for a, b in lists],
            "s_a": axis.scores[chosen[:, 0]],
            "s_b": axis.scores[chosen[:, 1]],
            "alpha_1": held.attention[:, 0],
            "beta": found.moderation,
            **dict(zip(names, both.T, strict=True)),
            "written": [f"{a}, {b}" for a, b in found.written.tolist()],
        }
    )
