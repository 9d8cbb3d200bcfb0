"""The one frozen `Config` that fixes the task, the model and its training.

    config = Config.preset("study", n_layers=3)
    config.replace(seed=1).slug                    # a file name
    require(config, "the order analysis", n_layers=2)      # ConfigError, naming the field

Token ids, positions, their labels and file names are derived from it. Nothing heavy is imported
here, so that a wrong setting fails before PyTorch is loaded.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from listcomp_utils.config.settings import ConfigError, Settings
from listcomp_utils.config.settings import check_names as check_names
from listcomp_utils.config.settings import coerce as coerce

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
    embed_scale: float = Field(1.0, gt=0, description="times the library's initial embeddings")
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
        if self.layer_norm and self.d_model == 1:
            raise ConfigError("layer_norm makes 0 of a single number: needs d_model 2, got 1")
        if self.positions == "rotary" and self.d_head % 2:
            raise ConfigError(
                "positions 'rotary' turns pairs of coordinates: needs an even d_model / n_heads, "
                f"got {self.d_model} / {self.n_heads}"
            )
        if self.start == "ranks":
            require(self, "start 'ranks'", **STUDY_ARCHITECTURE)
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
        if self.n_trained < 1:
            raise ConfigError(
                f"train_fraction {self.train_fraction} of {self.n_lists} lists leaves none to train"
            )
        return self

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> Config:
        """One of `PRESETS` with some fields replaced."""
        if name not in PRESETS:
            raise ConfigError(f"preset must be one of {sorted(PRESETS)}, got {name!r}")
        return cls(**PRESETS[name] | overrides)

    @property
    def n_lists(self) -> int:
        return self.n_digits**self.list_len

    @property
    def n_trained(self) -> int:
        """How many lists `train_fraction` comes to, of 10^12 where there are more."""
        # .57 of 10,000 is 5,700, though the float is a little less.
        return math.floor(self.train_fraction * min(self.n_lists, 10**12) + 1e-6)

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
        return self.d_model // self.n_heads

    @property
    def seq_len(self) -> int:
        """The digits, SEP, the outputs."""
        return 2 * self.list_len + 1

    @property
    def digit_positions(self) -> range:
        return range(self.list_len)

    @property
    def sep_position(self) -> int:
        return self.list_len

    @property
    def output_positions(self) -> range:
        return range(self.list_len + 1, self.seq_len)

    @property
    def prediction_positions(self) -> range:
        """Positions whose logits predict the outputs: one earlier than them when autoregressive."""
        first = self.list_len + 1 if self.decoding == "masked" else self.list_len
        return range(first, first + self.list_len)

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
        """Readable file name stem; a short hash stands for unusual settings that it leaves out.

        The device is in neither: it does not change what is computed.
        """
        flags = {"ln": "layer_norm", "bias": "bias", "wv": "learn_w_v", "wo": "learn_w_o"}
        stem = (
            f"{self.decoding}-len{self.list_len}-digits{self.n_digits}"
            f"-layers{self.n_layers}-heads{self.n_heads}-width{self.d_model}"
        )
        parts = [stem, *(short for short, name in flags.items() if getattr(self, name))]
        if self.positions != "learned":
            parts.append(self.positions)
        parts.append(f"seed{self.seed}")
        spelled_out = {*ARCHITECTURE_FIELDS, "seed", "device"}
        if unusual := self.model_dump(exclude=spelled_out, exclude_defaults=True):
            canonical = json.dumps(unusual, sort_keys=True)
            parts.append(hashlib.sha256(canonical.encode()).hexdigest()[:8])
        return "-".join(parts)


def require(config: Config, what: str, **needed: Any) -> None:
    """Raise ConfigError, naming the fields, unless the config has the values that `what` needs."""
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

PLAIN_LAYERS = dict(layer_norm=False, bias=False, learn_w_v=False, learn_w_o=False)
"""What makes a layer add a weighted sum of the vectors that it reads, and nothing else."""

STUDY_ARCHITECTURE = dict(
    **PLAIN_LAYERS, decoding="masked", n_layers=2, n_heads=1, positions="learned"
)
"""What the order analysis, the start "ranks" and the hand-built weights need."""

_STUDY = dict(
    **STUDY_ARCHITECTURE,
    n_digits=100,
    loss_on="outputs",
    d_model=64,
    batch_size=512,
    adam_beta2=0.9,
    weight_decay=0.0,
    train_fraction=0.8,
    eval_every=250,
)

PRESETS: dict[str, dict[str, Any]] = {
    # The seed notebook's model: 10 digits, length 2, LayerNorm, biases, autoregressive.
    "seed": {},
    # The two-layer model of Farrell et al., "Order by Scale" (2025), on 8,000 / 2,000 lists; the
    # training settings are this project's own. Large embeddings spread the attention scores from
    # the start, which knowing the order needs; a short memory of the gradients' size frees seeds
    # whose scores have collapsed. `make plateau` holds these settings against the study's own.
    "study": dict(_STUDY, embed_scale=10.0, steps=15_000, lr=5e-3, warmup_steps=1_000),
    # The study's model and split from the start "ranks", for any list length. Rate and steps were
    # chosen on other seeds and an inner split (table "ranked_tuning").
    "ranked": dict(_STUDY, start="ranks", steps=3_000, lr=1e-4, warmup_steps=200),
}
"""Starting points: the fields that they set; the others have their defaults."""
