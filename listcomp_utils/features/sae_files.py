"""Files of sparse autoencoders: this project's, and those that the study's follow-up released.

save_sae(sae, "sae.safetensors")
sae = open_sae("sae.safetensors", d_model=64)                     # or a released .pt
sae = load_or_train_sae(separator, SAEConfig(d_sae=128, k=3))     # kept, shipped, or trained now
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from listcomp_utils.config import ConfigError
from listcomp_utils.features.sae import SAE, WEIGHTS, SAEConfig, SAEError, train_sae
from listcomp_utils.features.separator import KnownSeparator
from listcomp_utils.files import check_writable, shipped_dir, working_dir, write_atomically

FORMAT = "listcomp_utils sae 1"


def save_sae(sae: SAE, path: str | Path) -> Path:
    """Write an SAE and its settings; raises ConfigError for a wrong name or folder of the file."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ConfigError(f"path must end in .safetensors, got {str(path)!r}")
    check_writable(path.parent)
    config = sae.config and sae.config.to_dict()
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
        weights = safetensors.torch.load_file(path)
        if metadata.get("format") != FORMAT:
            raise SAEError(f"{path.name} was not written by save_sae")
        scalars = json.loads(metadata["scalars"])
        scalars["config"] = scalars["config"] and SAEConfig(**scalars["config"])
        return SAE(**weights, **scalars)
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise SAEError(f"{path.name} cannot be read as an SAE: {error}") from None


def read_released(path: str | Path) -> SAE:
    """An SAE in the format of the study's follow-up, a `.pt`; runs no code from the file.

    Its `state_dict` has encoder.weight, encoder.bias, decoder.weight (d_model, d_sae), b_dec,
    threshold and k; `act_mean`, which may be missing, is subtracted before encoding. Raises
    SAEError when the file is missing, damaged, holds code, lacks a weight or has a wrong one.
    """
    path = Path(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a bad file, none of them documented
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise SAEError(f"{path.name} is damaged or not plain weights: {reason}") from None
    try:
        weights, mean = loaded["state_dict"], loaded.get("act_mean")
        parts = ("encoder.weight", "encoder.bias", "decoder.weight", "b_dec")
        encoder, encoder_bias, decoder, bias = (weights[name].float() for name in parts)
        if not torch.allclose(decoder.norm(dim=0), torch.ones(decoder.shape[1]), atol=1e-3):
            raise SAEError("decoder directions are not of length 1")
        if mean is not None:
            bias = bias + torch.as_tensor(mean).float()
        threshold, k = float(weights["threshold"]), float(weights["k"])
        k = int(k) if k.is_integer() else k
        return SAE(encoder, encoder_bias, decoder.T, bias, threshold, k)
    except (LookupError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise SAEError(f"{path.name} is not a released SAE: {error!r}") from None


def open_sae(path: str | Path, d_model: int) -> SAE:
    """The SAE in a file of either kind; raises ConfigError unless it is for vectors this wide."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise ConfigError(f"sae_file: there is no file at {str(path)!r}")
    try:
        sae = load_sae(path) if path.suffix == ".safetensors" else read_released(path)
    except SAEError as error:
        raise ConfigError(f"sae_file: {error}") from None
    if sae.encoder.shape[1] != d_model:
        width = sae.encoder.shape[1]
        raise ConfigError(f"sae_file {path.name} is for vectors of width {width}, not {d_model}")
    return sae


def model_digest(separator: KnownSeparator) -> str:
    """Eight characters that tell one model's embeddings from another's."""
    weights = separator.weights
    kept = (weights.token, weights.position, weights.unembed)
    content = b"".join(weight.contiguous().numpy().tobytes() for weight in kept)
    return hashlib.sha256(content).hexdigest()[:8]


def sae_name(separator: KnownSeparator, config: SAEConfig) -> str:
    """File name of the SAE with these settings on this model: another model's is never taken."""
    settings = json.dumps([model_digest(separator), config.to_dict()], sort_keys=True)
    short = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return f"sae-k{config.k}-latents{config.d_sae}-seed{config.seed}-{short}.safetensors"


def load_or_train_sae(
    separator: KnownSeparator, config: SAEConfig, artifacts_dir: str | Path | None = None
) -> SAE:
    """The SAE with these settings on this model: kept, shipped, or trained now and kept.

    Raises ConfigError for a folder that cannot be written, SAEError for a damaged file.
    """
    name, folder = sae_name(separator, config), working_dir(artifacts_dir)
    for path in (folder / name, shipped_dir() / name):
        if path.is_file():
            return load_sae(path)
    check_writable(folder)
    sae, _ = train_sae(separator.vectors, config)
    save_sae(sae, folder / name)
    return sae
