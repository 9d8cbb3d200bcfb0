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
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from listcomp_utils.config import ConfigError, coerce

SEED_STREAM = 2**31
"""Added to seeds, which are below it: an SAE must not start from the numbers that the weights of a
model with the same seed, or planted directions, were drawn from. PyTorch reads 32 bits of a seed.
"""

WEIGHTS = ("encoder", "encoder_bias", "decoder", "bias")


class SAEError(ValueError):
    """An SAE's file cannot be read, or its weights do not fit together."""


@dataclass(frozen=True)
class SAEConfig:
    """Settings of one SAE and its training.

    Raises:
        ConfigError: naming the setting, its value and what is allowed.
    """

    d_sae: int
    """Latents in the dictionary."""
    k: int
    """Mean number of active latents a vector."""
    steps: int = 3000
    batch_size: int = 256
    lr: float = 5e-3
    """Peak learning rate of Adam, after a linear warm-up and before a linear decay to 0."""
    warmup: float = 0.05
    """Share of the steps that the warm-up takes."""
    decay: float = 0.8
    """Share of the steps, at the end, over which the learning rate falls to 0."""
    aux_coefficient: float = 1 / 32
    """Weight of the auxiliary loss: dead latents reconstruct what the others leave over."""
    dead_after: int = 100
    """Steps without being active after which a latent counts as dead."""
    threshold_decay: float = 0.99
    """How slowly the running threshold follows the smallest active value of each batch."""
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            kind = {"int": int, "float": float}[str(field.type)]
            object.__setattr__(
                self, field.name, coerce(field.name, getattr(self, field.name), kind)
            )
        for name in ("d_sae", "k", "steps", "batch_size", "dead_after"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.k > self.d_sae:
            raise ConfigError(f"k must be at most d_sae {self.d_sae}, got {self.k}")
        if not 0 <= self.seed < SEED_STREAM:
            raise ConfigError(f"seed must be at least 0 and below 2^31, got {self.seed}")
        if not 0 < self.lr < math.inf:
            raise ConfigError(f"lr must be a finite number above 0, got {self.lr}")
        for name in ("warmup", "decay", "aux_coefficient", "threshold_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), got {getattr(self, name)}")


@dataclass(frozen=True)
class SAE:
    """latents = relu(encoder (x - bias) + encoder_bias), kept where above the threshold;
    reconstruction = latents decoder + bias.
    """

    encoder: Float[Tensor, "latent d_model"]
    encoder_bias: Float[Tensor, "latent"]
    decoder: Float[Tensor, "latent d_model"]
    """Directions of length 1."""
    bias: Float[Tensor, "d_model"]
    threshold: float
    """Activations at or below it are set to 0 (units of the vectors)."""
    k: int
    config: SAEConfig | None = None
    """Settings it was trained with; None when it was made elsewhere."""

    def __post_init__(self) -> None:
        shape = tuple(self.encoder.shape)
        expected = {"encoder_bias": shape[:1], "decoder": shape, "bias": shape[1:]}
        for name, wanted in expected.items():
            found = tuple(getattr(self, name).shape)
            if len(shape) != 2 or found != wanted:
                raise SAEError(f"{name} has shape {found}, encoder {shape}")
        if not all(bool(getattr(self, name).isfinite().all()) for name in WEIGHTS):
            raise SAEError("the weights must be finite numbers")

    @property
    def d_sae(self) -> int:
        """Latents in the dictionary."""
        return len(self.encoder)

    def preactivations(self, vectors: Float[Tensor, "n d_model"]) -> Float[Tensor, "n latent"]:
        """The latents before any of them is dropped, at least 0."""
        return torch.relu((vectors - self.bias) @ self.encoder.T + self.encoder_bias)

    def encode(self, vectors: Float[Tensor, "n d_model"]) -> Float[Tensor, "n latent"]:
        """The latents of each vector by itself: those above the threshold."""
        latents = self.preactivations(vectors)
        return latents * (latents > self.threshold)

    def encode_batch(self, vectors: Float[Tensor, "n d_model"]) -> Float[Tensor, "n latent"]:
        """The latents as in training: the n k largest of the whole batch."""
        return _batch_top_k(self.preactivations(vectors), self.k)[0]

    def decode(self, latents: Float[Tensor, "n latent"]) -> Float[Tensor, "n d_model"]:
        """The vectors that latents stand for."""
        return latents @ self.decoder + self.bias

    def reconstruct(self, vectors: Float[Tensor, "n d_model"]) -> Float[Tensor, "n d_model"]:
        """Encode and decode."""
        return self.decode(self.encode(vectors))


@dataclass(frozen=True)
class SAEHistory:
    """The course of a training, every `every` steps."""

    every: int
    unexplained: tuple[float, ...]
    """Mean squared error of the batch over the variance of the vectors."""
    dead: tuple[int, ...]
    """Latents that were not active for `dead_after` steps."""


def train_sae(vectors: Float[Tensor, "n d_model"], config: SAEConfig) -> tuple[SAE, SAEHistory]:
    """Train an SAE on all the vectors, in a new random order each epoch.

    Deterministic given `config.seed`; the global random state is left alone. Vectors are centred
    and scaled for training, and the scale is folded back into the weights.

    Raises:
        ConfigError: when `vectors` is not a table of finite numbers with some variance.
    """
    _check_vectors(vectors)
    generator = torch.Generator().manual_seed(SEED_STREAM + config.seed)
    data = vectors.detach().float().cpu()
    mean = data.mean(0)
    scale = float((data - mean).square().sum(1).mean().sqrt())
    data = (data - mean) / scale
    batch_size = min(config.batch_size, len(data))
    decoder = torch.randn(config.d_sae, data.shape[1], generator=generator)
    decoder = decoder / decoder.norm(dim=1, keepdim=True)
    bias, encoder_bias = torch.zeros(data.shape[1]), torch.zeros(config.d_sae)
    weights = [decoder.clone(), encoder_bias, decoder, bias]
    for weight in weights:
        weight.requires_grad_(True)
    encoder, encoder_bias, decoder, bias = weights
    optimiser = torch.optim.Adam(weights, lr=config.lr, betas=(0.9, 0.999), foreach=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, config))
    idle = torch.zeros(config.d_sae, dtype=torch.long)
    threshold, order = 0.0, torch.empty(0, dtype=torch.long)
    every, unexplained, dead_counts = max(1, config.steps // 100), [], []
    for step in range(config.steps):
        if len(order) < batch_size:
            order = torch.randperm(len(data), generator=generator)
        batch, order = data[order[:batch_size]], order[batch_size:]
        before = torch.relu((batch - bias) @ encoder.T + encoder_bias)
        latents, smallest = _batch_top_k(before, config.k)
        left_over = batch - bias - latents @ decoder
        loss = left_over.square().sum(1).mean()
        idle = torch.where((latents > 0).any(0), 0, idle + 1)
        dead = idle >= config.dead_after
        if config.aux_coefficient and dead.any():
            auxiliary = _auxiliary_loss(before[:, dead], decoder[dead], left_over.detach())
            total = loss + config.aux_coefficient * auxiliary
        else:
            total = loss
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        with torch.no_grad():
            along = (decoder.grad * decoder).sum(1, keepdim=True)
            decoder.grad -= along * decoder
            optimiser.step()
            decoder /= decoder.norm(dim=1, keepdim=True)
        schedule.step()
        rate = min(config.threshold_decay, step / (step + 1))
        threshold = rate * threshold + (1 - rate) * smallest
        if step % every == 0 or step == config.steps - 1:
            unexplained.append(loss.item())
            dead_counts.append(int(dead.sum()))
    sae = SAE(
        encoder=encoder.detach(),
        encoder_bias=encoder_bias.detach() * scale,
        decoder=decoder.detach(),
        bias=bias.detach() * scale + mean,
        threshold=threshold * scale,
        k=config.k,
        config=config,
    )
    return sae, SAEHistory(every, tuple(unexplained), tuple(dead_counts))


def _batch_top_k(latents: Tensor, k: int) -> tuple[Tensor, float]:
    """Latents with all but the n k largest of the whole batch set to 0, and the smallest kept."""
    flat = latents.detach().flatten()
    smallest = flat.topk(k * len(latents), sorted=False).values.min()
    kept = (latents >= smallest) & (latents > 0)
    return latents * kept, float(smallest)


def _auxiliary_loss(latents: Tensor, directions: Tensor, left_over: Tensor) -> Tensor:
    """Share of the error that dead latents leave: for each vector the half d_model most active."""
    count = min(latents.shape[1], max(1, left_over.shape[1] // 2))
    top = latents.topk(count, dim=1, sorted=False)
    kept = torch.zeros_like(latents).scatter(1, top.indices, top.values)
    error = (left_over - kept @ directions).square().sum(1).mean()
    return error / left_over.square().sum(1).mean().clamp_min(1e-12)


def _rate(step: int, config: SAEConfig) -> float:
    rise = (step + 1) / max(1.0, config.warmup * config.steps)
    fall = (config.steps - step) / max(1.0, config.decay * config.steps)
    return min(1.0, rise, fall)


def _check_vectors(vectors: Any) -> None:
    if not isinstance(vectors, Tensor) or not vectors.is_floating_point() or vectors.ndim != 2:
        shown = tuple(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
        raise ConfigError(f"vectors must be a float tensor of shape (n, d_model), got {shown}")
    if not bool(vectors.isfinite().all()):
        raise ConfigError("vectors must be finite numbers, got nan or infinity")
    if len(vectors) < 2 or not bool((vectors - vectors.mean(0)).any()):
        raise ConfigError(f"vectors must differ from one another, got {len(vectors)} alike")
