"""The one frozen `Config` that fixes the task, the model and its training.

    config = Config.preset("study", n_layers=3)
    config.replace(seed=1).slug                    # a file name
    require(config, "the order analysis", n_layers=2)      # ConfigError, naming the field

Everything else is derived from it: token ids, sequence length, position labels and file names.
This module imports nothing heavy, so that a wrong setting fails before PyTorch is loaded.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from listcomp_utils.config.presets import PRESETS, RANKED_ARCHITECTURE
from listcomp_utils.config.settings import (
    ConfigError,
    Settings,
    check_names,
    coerce,
)

__all__ = [
    "ARCHITECTURE_FIELDS",
    "PRESETS",
    "RANKED_ARCHITECTURE",
    "Config",
    "ConfigError",
    "Settings",
    "check_names",
    "coerce",
    "field_types",
    "require",
]

MOST_WEIGHTS = 100_000_000
"""Numbers in the weights of one model at most: more are a slip of the keyboard, or of a file."""

MOST_SEEDS = 2**31
"""Seeds lie below it: PyTorch reads 32 bits of a seed, and other streams use the upper half."""


class Config(Settings):
    """Settings of one list-copying model; the defaults are the seed notebook's model."""

    list_len: int = Field(2, ge=1, le=64, description="digits in a list")
    n_digits: int = Field(10, ge=2, le=1_000_000, description="different digits")
    decoding: Literal["autoregressive", "masked"] = Field(
        "autoregressive", description="token by token, or all outputs at once from MASK"
    )
    loss_on: Literal["all", "outputs"] = Field("all", description="positions that carry loss")
    n_layers: int = Field(2, ge=1, le=64, description="attention layers")
    n_heads: int = Field(1, ge=1, le=1024, description="heads a layer; must divide d_model")
    d_model: int = Field(16, ge=1, le=8192, description="width of the residual stream")
    layer_norm: bool = Field(True, description="LayerNorm before each layer and the unembedding")
    bias: bool = Field(True, description="biases of q, k, v, o and the unembedding")
    learn_w_v: bool = Field(False, description="train W_V; false freezes it to the identity")
    learn_w_o: bool = Field(True, description="train W_O; false freezes it to the identity")
    embed_scale: float = Field(
        1.0, gt=0, description="initial size of the embeddings, in the library's"
    )
    positions: Literal["learned", "rotary", "none"] = Field(
        "learned", description="a vector added, queries and keys turned, or the mask alone"
    )
    start: Literal["random", "ranks"] = Field(
        "random", description="initial weights: all random, or a code in random ranks (see `start`)"
    )
    steps: int = Field(300, ge=1, le=100_000_000, description="optimiser steps (AdamW)")
    batch_size: int = Field(100, ge=1, le=1_000_000, description="lists a step")
    lr: float = Field(1e-2, gt=0, description="peak learning rate")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="after the warm-up")
    warmup_steps: int = Field(20, ge=0, description="steps of linear warm-up")
    adam_beta2: float = Field(0.95, gt=0, lt=1, description="AdamW's second-moment decay")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay")
    train_fraction: float = Field(1.0, gt=0, le=1, description="share of all lists to train on")
    split_seed: int = Field(0, ge=0, lt=MOST_SEEDS, description="which lists are held out")
    seed: int = Field(0, ge=0, lt=MOST_SEEDS, description="weights and order of the batches")
    eval_every: int = Field(20, ge=1, description="steps between evaluations")
    device: str = Field("auto", description="'auto' (CUDA or CPU), 'cpu', 'cuda' or 'cuda:N'")

    @field_validator("embed_scale", "lr", "weight_decay")
    @classmethod
    def _without_minus_zero(cls, value: float) -> float:
        return value + 0.0

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
            why = " (Apple's MPS has given silently wrong attention for fully masked rows)"
            raise ValueError(
                "must be 'auto', 'cpu', 'cuda' or 'cuda:N'" + (why if value == "mps" else "")
            )
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.d_model % self.n_heads:
            raise ConfigError(
                f"n_heads must divide d_model {self.d_model}, got n_heads {self.n_heads}"
            )
        if self.positions == "rotary" and self.d_head % 2:
            raise ConfigError(
                "positions 'rotary' turns pairs of coordinates: needs an even d_model / n_heads, "
                f"got {self.d_model} / {self.n_heads}"
            )
        if self.start == "ranks":
            require(self, "start 'ranks'", **RANKED_ARCHITECTURE)
            if self.d_model < self.list_len + 3:
                raise ConfigError(
                    f"start 'ranks' needs d_model of at least list_len + 3 = {self.list_len + 3}, "
                    f"got d_model {self.d_model}"
                )
        if self.n_weights > MOST_WEIGHTS:
            raise ConfigError(
                f"n_digits {self.n_digits}, d_model {self.d_model} and n_layers {self.n_layers} "
                f"make {self.n_weights:,} weights, at most {MOST_WEIGHTS:,} are allowed"
            )
        # Of more lists than that any share leaves some.
        if int(self.train_fraction * min(self.n_lists, 10**15)) < 1:
            raise ConfigError(
                f"train_fraction {self.train_fraction} of {self.n_lists} lists leaves none to train"
            )
        return self

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> Config:
        """The named starting point with some fields replaced.

        "seed" is the seed notebook's model: 10 digits, length 2, LayerNorm, biases, autoregressive.
        "study" is the two-layer model of Farrell et al., "Order by Scale" (2025): 100 digits, no
        LayerNorm, no bias, W_V = W_O = I, masked decoding, 8,000 / 2,000 lists.
        "ranked" is the study's model and split from the start "ranks", for any list length.
        The training settings are this project's own.

        Raises:
            ConfigError: for an unknown preset, an unknown field or a value that is not allowed.
        """
        if name not in PRESETS:
            raise ConfigError(f"preset must be one of {sorted(PRESETS)}, got {name!r}")
        return cls(**{**PRESETS[name], **overrides})

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
    def n_weights(self) -> int:
        """Numbers in the matrices and embeddings, frozen ones included."""
        embeddings = (2 * self.d_vocab + self.seq_len) * self.d_model
        return embeddings + 4 * self.n_layers * self.d_model**2

    @property
    def slug(self) -> str:
        """Readable file name stem, with a short hash when a setting it leaves out is unusual.

        The device is left out: it does not change what is computed.
        """
        flags = {"ln": "layer_norm", "bias": "bias", "wv": "learn_w_v", "wo": "learn_w_o"}
        parts = [
            self.decoding,
            f"len{self.list_len}",
            f"digits{self.n_digits}",
            f"layers{self.n_layers}",
            f"heads{self.n_heads}",
            f"width{self.d_model}",
            *(short for short, name in flags.items() if getattr(self, name)),
            *([] if self.positions == "learned" else [self.positions]),
            f"seed{self.seed}",
        ]
        unusual = {
            name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if name not in _SPELLED_OUT and getattr(self, name) != field.default
        }
        if unusual:
            canonical = json.dumps(unusual, sort_keys=True)
            parts.append(hashlib.sha256(canonical.encode()).hexdigest()[:8])
        return "-".join(parts)


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
    *("list_len", "n_digits", "decoding", "n_layers", "n_heads", "d_model"),
    *("layer_norm", "bias", "learn_w_v", "learn_w_o", "positions"),
)
"""Fields that decide which weights there are and what the model computes from them."""

_SPELLED_OUT = {*ARCHITECTURE_FIELDS, "seed", "device"}


@functools.cache
def field_types() -> dict[str, Any]:
    """Type of each field of `Config`."""
    return {name: field.annotation for name, field in Config.model_fields.items()}
