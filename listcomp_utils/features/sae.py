"""A BatchTopK sparse autoencoder (SAE) for any table of vectors.

from listcomp_utils import SAEConfig, save_sae, train_sae
sae, history = train_sae(vectors, SAEConfig(d_sae=128, k=3))    # vectors: (n, d_model)
latents = sae.encode(vectors)                                   # (n, d_sae), about k above 0 a row
reconstruction = sae.decode(latents)
save_sae(sae, "sae.safetensors")                                # load_sae reads it back

Source: Bussmann, Leask, Nanda, "BatchTopK Sparse Autoencoders" (2024); the auxiliary loss is that
of Gao et al., "Scaling and evaluating sparse autoencoders" (2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd
import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import normalize

from listcomp_utils.config import ConfigError, Settings

SEED_STREAM = 2**31
"""Added to seeds, which are below it: an SAE must not start from the numbers that a model's weights
or planted directions were drawn from."""

WEIGHTS = ("encoder", "encoder_bias", "decoder", "bias")


class SAEError(ValueError):
    """An SAE's file cannot be read, or its parts do not fit together."""


class SAEConfig(Settings):
    """Settings of one SAE and its training."""

    d_sae: int = Field(ge=1, description="latents in the dictionary")
    k: int = Field(ge=1, description="mean number of active latents a vector")
    steps: int = Field(3000, ge=1, description="optimiser steps (Adam)")
    batch_size: int = Field(256, ge=1, description="vectors a step")
    lr: float = Field(5e-3, gt=0, description="peak learning rate, between a linear rise and fall")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the steps that the rise takes")
    decay: float = Field(0.8, ge=0, lt=1, description="share, at the end, that the fall to 0 takes")
    aux_coefficient: float = Field(1 / 32, ge=0, lt=1, description="weight of the auxiliary loss")
    dead_after: int = Field(100, ge=1, description="steps without being active: a latent is dead")
    threshold_decay: float = Field(0.99, ge=0, lt=1, description="of the threshold's running mean")
    seed: int = Field(0, ge=0, lt=SEED_STREAM, description="first weights and order of the vectors")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.k > self.d_sae:
            raise ConfigError(f"k must be at most d_sae {self.d_sae}, got {self.k}")
        return self


@dataclass(frozen=True)
class SAE:
    """latents = relu(encoder (x - bias) + encoder_bias), kept where above the threshold, about k a
    vector; reconstruction = latents decoder + bias.
    """

    encoder: Float[Tensor, "latent d_model"]
    encoder_bias: Float[Tensor, "latent"]
    decoder: Float[Tensor, "latent d_model"]
    """Directions of length 1."""
    bias: Float[Tensor, "d_model"]
    threshold: float
    k: int
    config: SAEConfig | None = None
    """Settings it was trained with; None when it was made elsewhere."""

    def __post_init__(self) -> None:
        shape = tuple(self.encoder.shape)
        for name, expected in zip(WEIGHTS, (shape, shape[:1], shape, shape[1:]), strict=True):
            weight = getattr(self, name)
            if len(shape) != 2 or weight.shape != expected:
                raise SAEError(f"{name} has shape {tuple(weight.shape)}, encoder {shape}")
            if not weight.is_floating_point() or not weight.isfinite().all():
                raise SAEError("the weights must be finite numbers with a fraction")
        # Not 0-d tensors, text or booleans: what a file says is taken as it stands, or refused.
        if type(self.threshold) not in (int, float) or not math.isfinite(self.threshold):
            raise SAEError(f"threshold must be a finite number, got {self.threshold!r}")
        if type(self.k) is not int or not 1 <= self.k <= shape[0]:
            raise SAEError(f"k must be a whole number from 1 to {shape[0]}, got {self.k!r}")

    @property
    def d_sae(self) -> int:
        """Latents in the dictionary."""
        return len(self.encoder)

    def encode(self, vectors: Float[Tensor, "n d_model"]) -> Float[Tensor, "n latent"]:
        """The latents of each vector by itself: those above the threshold.

        Raises SAEError for vectors of another width.
        """
        if vectors.shape[-1] != len(self.bias):
            raise SAEError(f"vectors must have width {len(self.bias)}, got {vectors.shape[-1]}")
        latents = torch.relu(
            (vectors.to(self.bias) - self.bias) @ self.encoder.T + self.encoder_bias
        )
        return latents * (latents > self.threshold)

    def decode(self, latents: Float[Tensor, "n latent"]) -> Float[Tensor, "n d_model"]:
        """The vectors that latents stand for."""
        return latents @ self.decoder + self.bias


def train_sae(vectors: Float[Tensor, "n d_model"], config: SAEConfig) -> tuple[SAE, pd.DataFrame]:
    """Train an SAE on all the vectors, in a new random order each epoch.

    Of each batch the k largest latents a vector are kept; the SAE's threshold is the running mean
    of the smallest. Vectors are centred and scaled, and the scale is folded back into the weights.
    The frame is the course of the training at some hundred steps: `unexplained`, mean squared error
    of the batch over the variance; `dead`, latents that were not active for `dead_after` steps.

    Raises:
        ConfigError: when `vectors` is not a table of finite numbers with some variance in float32.
        RuntimeError: when the loss stops being a number.
    """
    _check_vectors(vectors)
    generator = torch.Generator().manual_seed(SEED_STREAM + config.seed)
    data = vectors.detach().float().cpu()
    mean = data.mean(0)
    scale = float((data - mean).square().sum(1).mean().sqrt())
    if not 0 < scale < math.inf:
        raise ConfigError(f"vectors must vary by what float32 holds, got a spread of {scale}")
    data = (data - mean) / scale
    (count, d_model), d_sae = data.shape, config.d_sae
    batch_size = min(config.batch_size, count)
    directions = normalize(torch.randn(d_sae, d_model, generator=generator), dim=1)
    weights = [directions.clone(), torch.zeros(d_sae), directions, torch.zeros(d_model)]
    encoder, encoder_bias, decoder, bias = (weight.requires_grad_() for weight in weights)
    optimiser = torch.optim.Adam(weights, lr=config.lr, foreach=True)
    rise, fall = (max(1.0, share * config.steps) for share in (config.warmup, config.decay))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / rise, (config.steps - step) / fall)
    )
    idle = torch.zeros(d_sae, dtype=torch.long)
    threshold, order = 0.0, torch.empty(0, dtype=torch.long)
    every, course = max(1, config.steps // 100), []
    for step in range(config.steps):
        if len(order) < batch_size:
            order = torch.randperm(count, generator=generator)
        batch, order = data[order[:batch_size]], order[batch_size:]
        before = torch.relu((batch - bias) @ encoder.T + encoder_bias)
        smallest = before.detach().flatten().topk(config.k * len(batch)).values[-1].item()
        latents = before * (before >= smallest)
        left_over = batch - bias - latents @ decoder
        loss = left_over.square().sum(1).mean()
        idle = torch.where((latents > 0).any(0), 0, idle + 1)
        dead = idle >= config.dead_after
        total = loss
        if config.aux_coefficient and dead.any():
            auxiliary = _auxiliary_loss(before[:, dead], decoder[dead], left_over.detach())
            total = loss + config.aux_coefficient * auxiliary
        optimiser.zero_grad()
        total.backward()
        with torch.no_grad():
            decoder.grad -= (decoder.grad * decoder).sum(1, keepdim=True) * decoder
            optimiser.step()
            decoder /= decoder.norm(dim=1, keepdim=True)
        schedule.step()
        rate = min(config.threshold_decay, step / (step + 1))
        threshold = rate * threshold + (1 - rate) * smallest
        if step % every == 0 or step == config.steps - 1:
            course.append((step, loss.item(), int(dead.sum())))
            if not math.isfinite(course[-1][1]):
                raise RuntimeError(
                    f"training an SAE diverged by step {step}; lower lr (now {config.lr})"
                )
    encoder, encoder_bias, decoder, bias = (weight.detach() for weight in weights)
    encoder_bias, bias, threshold = encoder_bias * scale, bias * scale + mean, threshold * scale
    sae = SAE(encoder, encoder_bias, decoder, bias, threshold, config.k, config)
    return sae, pd.DataFrame(course, columns=["step", "unexplained", "dead"])


def _auxiliary_loss(latents: Tensor, directions: Tensor, left_over: Tensor) -> Tensor:
    """Share of the error that dead latents leave: for each vector the half d_model most active."""
    count = min(latents.shape[1], max(1, left_over.shape[1] // 2))
    top = latents.topk(count, dim=1, sorted=False)
    kept = torch.zeros_like(latents).scatter(1, top.indices, top.values)
    error = (left_over - kept @ directions).square().sum(1).mean()
    return error / left_over.square().sum(1).mean().clamp_min(1e-12)


def _check_vectors(vectors: Any) -> None:
    if not isinstance(vectors, Tensor) or not vectors.is_floating_point() or vectors.ndim != 2:
        shown = tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
        raise ConfigError(f"vectors must be a float tensor of shape (n, d_model), got {shown}")
    if not vectors.isfinite().all():
        raise ConfigError("vectors must be finite numbers, got nan or infinity")
    if len(vectors) < 2 or not (vectors - vectors.mean(0)).any():
        raise ConfigError(f"vectors must differ from one another, got {len(vectors)} alike")
