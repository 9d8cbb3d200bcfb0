"""Files of sparse autoencoders: this project's, and those that the study's follow-up released.

save_sae(sae, "sae.safetensors")
sae = load_sae("sae.safetensors")
sae = read_released("released_sae.pt")
sae = open_sae(either, d_model=64)
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from listcomp_utils.config import ConfigError
from listcomp_utils.features.sae import SAE, WEIGHTS, SAEConfig, SAEError
from listcomp_utils.files import check_writable, write_atomically

FORMAT = "listcomp_utils sae 1"


def save_sae(sae: SAE, path: str | Path) -> Path:
    """Write an SAE as `.safetensors` with its settings inside, whole or not at all."""
    path = Path(path)
    check_writable(path.parent)
    config = None if sae.config is None else asdict(sae.config)
    scalars = {"threshold": sae.threshold, "k": sae.k, "config": config}
    weights = {name: getattr(sae, name).contiguous() for name in WEIGHTS}
    metadata = {"format": FORMAT, "scalars": json.dumps(scalars)}
    write_atomically(path, safetensors.torch.save(weights, metadata))
    return path


def load_sae(path: str | Path) -> SAE:
    """The SAE in a file that `save_sae` wrote; raises SAEError when it cannot be read."""
    path = Path(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("format") != FORMAT:
            raise SAEError(f"{path.name} was not written by save_sae")
        scalars = json.loads(metadata["scalars"])
        config = scalars["config"] and SAEConfig(**scalars["config"])
        return SAE(**weights, threshold=scalars["threshold"], k=scalars["k"], config=config)
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise SAEError(f"{path.name} cannot be read as an SAE: {error}") from None


def read_released(path: str | Path) -> SAE:
    """An SAE in the format of the study's follow-up, a `.pt`; runs no code from the file.

    The file is a dict: `state_dict` with encoder.weight, encoder.bias, decoder.weight (d_model,
    d_sae), b_dec, threshold and k; `cfg`; and optionally `act_mean`, subtracted before encoding.

    Raises:
        SAEError: when the file is missing, damaged, holds code, or lacks a weight.
    """
    path = Path(path)
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a bad file, none of them documented
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SAEError(f"{path.name} is damaged or not plain weights: {reason}") from None
    try:
        weights = loaded["state_dict"]
        decoder = weights["decoder.weight"].float().T
        length = decoder.norm(dim=1).clamp_min(1e-12)
        mean = loaded.get("act_mean")
        bias = weights["b_dec"].float() + (0 if mean is None else torch.as_tensor(mean).float())
        if not torch.allclose(length, torch.ones_like(length), atol=1e-3):
            raise SAEError(f"{path.name} has decoder directions that are not of length 1")
        return SAE(
            encoder=weights["encoder.weight"].float(),
            encoder_bias=weights["encoder.bias"].float(),
            decoder=decoder,
            bias=bias,
            threshold=float(weights["threshold"]),
            k=int(weights["k"]),
        )
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise SAEError(f"{path.name} is not a released SAE: {error!r}") from None


def open_sae(path: str | Path, d_model: int) -> SAE:
    """The SAE in a file of either kind, told by its ending, for vectors of width `d_model`.

    Raises:
        ConfigError: naming `sae_file`, when it cannot be read or is for vectors of another width.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ConfigError(f"sae_file: there is no file at {str(path)!r}")
    try:
        sae = load_sae(path) if path.suffix == ".safetensors" else read_released(path)
    except SAEError as error:
        raise ConfigError(f"sae_file: {error}") from None
    if sae.encoder.shape[1] != d_model:
        found = sae.encoder.shape[1]
        raise ConfigError(f"sae_file {path.name} is for vectors of width {found}, not {d_model}")
    return sae
