"""The one frozen `Config` that fixes the task, the model and its training.

Everything else is derived from it: token ids, sequence length, position labels and file names.
This module imports nothing heavy, so that a wrong setting fails before PyTorch is loaded.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import re
import typing
from dataclasses import dataclass
from typing import Any, Literal

from listcomp_utils.values import ConfigError, check_names, coerce

Decoding = Literal["autoregressive", "masked"]
LossOn = Literal["all", "outputs"]
Schedule = Literal["cosine", "constant"]
Positions = Literal["learned", "rotary", "none"]


@dataclass(frozen=True)
class Config:
    """Settings of one list-copying model; the defaults are the seed notebook's model.

    Raises:
        ConfigError: naming the field, its value and what is allowed.
    """

    # The task.
    list_len: int = 2
    n_digits: int = 10
    decoding: Decoding = "autoregressive"
    loss_on: LossOn = "all"
    # The model. A frozen W_V or W_O is the identity.
    n_layers: int = 2
    n_heads: int = 1
    d_model: int = 16
    layer_norm: bool = True
    bias: bool = True
    learn_w_v: bool = False
    learn_w_o: bool = True
    # The start: token and position embeddings are drawn this many times the library's size.
    embed_scale: float = 1.0
    # How a position is known: by a vector added to the residual stream, by rotating queries and
    # keys, or by the mask alone.
    positions: Positions = "learned"
    # The training: AdamW, with a linear warm-up and then the schedule.
    steps: int = 300
    batch_size: int = 100
    lr: float = 1e-2
    schedule: Schedule = "cosine"
    warmup_steps: int = 20
    adam_beta2: float = 0.95
    weight_decay: float = 0.01
    train_fraction: float = 1.0
    split_seed: int = 0
    seed: int = 0
    eval_every: int = 20
    # Where it runs: "auto" is CUDA when there is one, else the CPU.
    device: str = "auto"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = coerce(field.name, getattr(self, field.name), field_types()[field.name])
            object.__setattr__(self, field.name, value)
        for name, lowest in _LOWEST.items():
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        for name, (lowest, highest, allowed) in _OPEN_RANGES.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and lowest < value < highest):
                raise ConfigError(f"{name} must be {allowed}, got {value}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ConfigError(f"weight_decay must be 0 or more, got {self.weight_decay}")
        if not 0 < self.train_fraction <= 1:
            raise ConfigError(
                f"train_fraction must be in (0, 1]: the share of all lists to train on, "
                f"got {self.train_fraction}"
            )
        if int(self.train_fraction * self.n_lists) < 1:
            raise ConfigError(
                f"train_fraction {self.train_fraction} of {self.n_lists} lists leaves none to train"
            )
        if self.d_model % self.n_heads:
            raise ConfigError(
                f"n_heads must divide d_model {self.d_model}, got n_heads {self.n_heads}"
            )
        if self.positions == "rotary" and self.d_head % 2:
            raise ConfigError(
                "positions 'rotary' turns pairs of coordinates: needs an even d_model / n_heads, "
                f"got {self.d_model} / {self.n_heads}"
            )
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ConfigError(
                f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got {self.device!r}"
                + (
                    " (Apple's MPS has given silently wrong attention for fully masked rows)"
                    if self.device == "mps"
                    else ""
                )
            )

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> Config:
        """The named starting point with some fields replaced.

        "seed" is the seed notebook's model: 10 digits, length 2, LayerNorm, biases, autoregressive.
        "study" is the two-layer model of Farrell et al., "Order by Scale" (2025): 100 digits, no
        LayerNorm, no bias, W_V = W_O = I, masked decoding, 8,000 / 2,000 lists.
        The training settings are this project's own.

        Raises:
            ConfigError: for an unknown preset, an unknown field or a value that is not allowed.
        """
        if name not in PRESETS:
            raise ConfigError(f"preset must be one of {sorted(PRESETS)}, got {name!r}")
        check_names(overrides, [field.name for field in dataclasses.fields(cls)], "field")
        return cls(**{**PRESETS[name], **overrides})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """The config that `to_dict` wrote; raises ConfigError on a field that does not exist."""
        check_names(values, [field.name for field in dataclasses.fields(cls)], "field")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)

    def replace(self, **changes: Any) -> Config:
        """A copy with some fields replaced, checked like a new one."""
        return Config.from_dict({**self.to_dict(), **changes})

    @property
    def n_lists(self) -> int:
        """How many different lists there are."""
        return self.n_digits**self.list_len

    @property
    def mask_id(self) -> int | None:
        """Token fed at the output positions under masked decoding; None when there is none."""
        return self.n_digits if self.decoding == "masked" else None

    @property
    def sep_id(self) -> int:
        """The separator's token: the last of the vocabulary."""
        return self.d_vocab - 1

    @property
    def d_vocab(self) -> int:
        """The digits, MASK under masked decoding, and SEP."""
        return self.n_digits + (2 if self.decoding == "masked" else 1)

    @property
    def d_head(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_heads

    @property
    def seq_len(self) -> int:
        """Positions of one sequence: the digits, SEP, the outputs."""
        return 2 * self.list_len + 1

    @property
    def digit_positions(self) -> range:
        """Positions that hold the list."""
        return range(self.list_len)

    @property
    def sep_position(self) -> int:
        """Position of the separator."""
        return self.list_len

    @property
    def output_positions(self) -> range:
        """Positions that hold the copy."""
        return range(self.list_len + 1, self.seq_len)

    @property
    def prediction_positions(self) -> range:
        """Positions whose logits predict the outputs: one earlier than them when autoregressive."""
        shift = 1 if self.decoding == "autoregressive" else 0
        return range(self.list_len + 1 - shift, self.seq_len - shift)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the positions, as `d1 d2 SEP o1 o2`."""
        places = range(1, self.list_len + 1)
        return (*(f"d{i}" for i in places), "SEP", *(f"o{i}" for i in places))

    @property
    def slug(self) -> str:
        """Readable file name stem, with a short hash when a setting it leaves out is unusual.

        The device is left out: it does not change what is computed.
        """
        flags = ["ln" if self.layer_norm else "", "bias" if self.bias else ""]
        flags += ["wv" if self.learn_w_v else "", "wo" if self.learn_w_o else ""]
        parts = [
            self.decoding,
            f"len{self.list_len}",
            f"digits{self.n_digits}",
            f"layers{self.n_layers}",
            f"heads{self.n_heads}",
            f"width{self.d_model}",
            *filter(None, flags),
            *([] if self.positions == "learned" else [self.positions]),
            f"seed{self.seed}",
        ]
        unusual = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _SPELLED_OUT and getattr(self, field.name) != field.default
        }
        if unusual:
            canonical = json.dumps(unusual, sort_keys=True)
            parts.append(hashlib.sha256(canonical.encode()).hexdigest()[:8])
        return "-".join(parts)


PRESETS: dict[str, dict[str, Any]] = {
    "seed": {},
    # Large embeddings spread the attention scores from the start, which knowing the order needs;
    # a short memory of the gradients' size frees seeds whose scores have collapsed. `make plateau`
    # holds these training settings against the study's own.
    "study": dict(
        n_digits=100,
        decoding="masked",
        loss_on="outputs",
        d_model=64,
        layer_norm=False,
        bias=False,
        learn_w_o=False,
        embed_scale=10.0,
        steps=15_000,
        batch_size=512,
        lr=5e-3,
        warmup_steps=1_000,
        adam_beta2=0.9,
        weight_decay=0.0,
        train_fraction=0.8,
        eval_every=250,
    ),
}


def require(config: Config, what: str, **needed: Any) -> None:
    """Raise ConfigError, naming the fields, unless the config has the values that `what` needs.

    `require(config, "the closed form", layer_norm=False, bias=False)`.
    """
    wrong = {name: value for name, value in needed.items() if getattr(config, name) != value}
    if wrong:
        said = ", ".join(f"{name}={value}" for name, value in wrong.items())
        got = ", ".join(f"{name}={getattr(config, name)}" for name in wrong)
        raise ConfigError(f"{what} needs {said}, got {got}; preset 'study' has these")


ARCHITECTURE_FIELDS = (
    "list_len",
    "n_digits",
    "decoding",
    "n_layers",
    "n_heads",
    "d_model",
    "layer_norm",
    "bias",
    "learn_w_v",
    "learn_w_o",
    "positions",
)
"""Fields that decide which weights there are and what the model computes from them."""

_SPELLED_OUT = {*ARCHITECTURE_FIELDS, "seed", "device"}
_LOWEST = {
    "list_len": 1,
    "n_digits": 2,
    "n_layers": 1,
    "n_heads": 1,
    "d_model": 1,
    "steps": 1,
    "batch_size": 1,
    "warmup_steps": 0,
    "split_seed": 0,
    "seed": 0,
    "eval_every": 1,
}
_OPEN_RANGES = {
    "embed_scale": (0, math.inf, "a finite number above 0"),
    "lr": (0, math.inf, "a finite number above 0"),
    "adam_beta2": (0, 1, "between 0 and 1"),
}


@functools.cache
def field_types() -> dict[str, Any]:
    """Type of each field of `Config`."""
    hints = typing.get_type_hints(Config)
    return {field.name: hints[field.name] for field in dataclasses.fields(Config)}
