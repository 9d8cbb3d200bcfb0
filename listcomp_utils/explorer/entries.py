"""What the page's script reads of a model: its sizes, and its weights in base 64.

entry = model_entry(model, "study", "Trained", "on 8,000 lists")
entry["token"]                                        # {"type": "float32", "data": "..."}
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from listcomp_utils.circuit.formula import Weights, weights_of
from listcomp_utils.circuit.order_axis import check_pairs
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.model import config_of

MOST_DIGITS = 300
"""A page computes all lists each time something is moved: more would not keep up with a hand."""


def model_entry(model: nn.Module, key: str, title: str, about: str) -> dict[str, Any]:
    """One model for the page: embeddings (token, position), unembed, and both queries, packed.

    Raises:
        ConfigError: for another architecture, more digits than `MOST_DIGITS`, or a weight that is
            not finite.
    """
    config = config_of(model)
    check_pairs(config)
    if config.n_digits > MOST_DIGITS:
        raise ConfigError(f"the page takes n_digits up to {MOST_DIGITS}, got {config.n_digits}")
    weights = weights_of(model)
    arrays = {name: getattr(weights, name).numpy() for name in ("token", "position", "unembed")}
    arrays["queries"] = asked_with(model, config, weights)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ConfigError(f"model {key!r}: {name} holds a number that is not finite")
    sizes = {"digits": config.n_digits, "width": config.d_model}
    packed = {name: _packed(array) for name, array in arrays.items()}
    tokens = {"sep": config.sep_id, "mask": config.mask_id}
    return {"key": key, "title": title, "about": about, **sizes, **tokens, **packed}


def asked_with(model: nn.Module, config: Config, weights: Weights) -> np.ndarray:
    """What SEP in layer 0 and o2 in layer 1 multiply a key's residual by: (2, d_model), float64.

    Each sum is rounded once (`math.fsum`), so that the page has the same bytes on every machine.
    """
    token, position = weights.token.double().numpy(), weights.position.double().numpy()
    separator = token[config.sep_id] + position[config.sep_position]
    inputs = (separator, token[config.mask_id] + position[config.output_positions[-1]])
    native = getattr(model, "original_model", model)
    rows = []
    for block, held in zip(native.layers, inputs, strict=True):
        query, key = (_exact(part.weight) for part in (block.attn.q, block.attn.k))
        asked = np.array([math.fsum(row * held) for row in query])
        rows.append([math.fsum(column * asked) for column in key.T])
    return np.array(rows) / math.sqrt(config.d_head)


def _exact(weight: Tensor) -> np.ndarray:
    return weight.detach().to("cpu", torch.float64).numpy()


def _packed(array: np.ndarray) -> dict[str, str]:
    """An array in base 64, little end first: in float32 where that loses nothing."""
    kind = "float32" if (array == array.astype(np.float32)).all() else "float64"
    data = array.astype(np.dtype(kind).newbyteorder("<")).tobytes()
    return {"type": kind, "data": base64.b64encode(data).decode()}
