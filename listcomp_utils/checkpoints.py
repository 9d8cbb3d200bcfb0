"""Saving and loading models: `.safetensors` with the config inside, `.pt` in the classic format.

A file that is missing, damaged or does not fit raises CheckpointError; no code in a file is run.

save_model(model, "copier.safetensors")
model = load_model("copier.safetensors")
model = load_model("classic.pt", Config.preset("seed"))   # HookedTransformer key names
trained = load_or_train(Config.preset("study"))           # the shipped checkpoint when there is one
"""

from __future__ import annotations

import io
import json
import tempfile
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint

from listcomp_utils.config import ARCHITECTURE_FIELDS, Config, ConfigError
from listcomp_utils.files import check_writable, shipped_dir, working_dir, write_atomically
from listcomp_utils.mask import build_mask
from listcomp_utils.model import config_of, frozen_weights, make_model
from listcomp_utils.training.history import History
from listcomp_utils.training.loop import train
from listcomp_utils.training.progress import Progress

FORMAT = "listcomp_utils 1"


class CheckpointError(ValueError):
    """A checkpoint cannot be written, cannot be read or does not fit its config."""


@dataclass(frozen=True)
class TrainedModel:
    """A model with its training history (None when the file carries none) and its file."""

    model: TransformerBridge = field(repr=False)
    history: History | None = field(repr=False)
    path: Path
    trained_now: bool = False


def save_model(model: TransformerBridge, path: str | Path, history: History | None = None) -> Path:
    """Write the weights, whole or not at all; raises ConfigError if the folder is not writable.

    `.safetensors` carries the config and the history; `.pt` is a plain state dict with the classic
    `HookedTransformer` key names, which TransformerLens before 4 and the published code load.
    """
    path = Path(path)
    config = config_of(model)
    check_writable(path.parent, "path: folder")
    if path.suffix == ".safetensors":
        metadata = {"format": FORMAT, "config": json.dumps(config.to_dict())}
        if history is not None:
            metadata["history"] = json.dumps(asdict(history))
        weights = {name: weight.cpu().contiguous() for name, weight in model.state_dict().items()}
        write_atomically(path, safetensors.torch.save(weights, metadata))
    elif path.suffix == ".pt":
        buffer = io.BytesIO()
        torch.save(classic_state_dict(model), buffer)
        write_atomically(path, buffer.getvalue())
    else:
        raise CheckpointError(f"path must end in .safetensors or .pt, got {str(path)!r}")
    return path


def load_model(path: str | Path, config: Config | None = None) -> TransformerBridge:
    """The model in a file, on the device of its config.

    A `.safetensors` file knows its config, which must be of the architecture of `config` where that
    is given. A `.pt` file holds weights only and needs `config`.
    """
    return _read(Path(path), config).model


def load_or_train(
    config: Config,
    artifacts_dir: str | Path | None = None,
    retrain: bool = False,
    progress: Progress = "auto",
    checkpoint: str | Path | None = None,
) -> TrainedModel:
    """The file `checkpoint`, else the model that `find_trained` finds, else a new one.

    A new model is saved to `artifacts_dir` (default: artifacts/runs/checkpoints in a clone), or
    where that fails to the folder for temporary files, and a warning says so. One whose training
    was interrupted becomes `NAME.interrupted.safetensors`, never taken for a finished one.
    Raises ConfigError before any training when `artifacts_dir` cannot be written.
    """
    if checkpoint is not None:
        return _read(Path(checkpoint).expanduser(), config)
    found = None if retrain else find_trained(config, artifacts_dir)
    if found is not None:
        return found
    folder = working_dir(artifacts_dir)
    check_writable(folder)
    result = train(config, progress)
    name = f"{config.slug}.safetensors"
    if result.history.interrupted:
        name = f"{config.slug}.interrupted.safetensors"
        warnings.warn(
            f"training was interrupted after {result.history.steps_done} of {config.steps} steps; "
            f"saved as {name}, trained anew next time",
            stacklevel=2,
        )
    try:
        path = save_model(result.model, folder / name, result.history)
    except (OSError, ConfigError) as error:
        path = Path(tempfile.gettempdir()) / name
        try:
            save_model(result.model, path, result.history)
            kept = f"it is kept as {path}"
        except (OSError, ConfigError):
            kept = "it is in memory only: save it with save_model"
        warnings.warn(f"the model could not be saved in {folder}: {error}; {kept}", stacklevel=2)
    return TrainedModel(result.model, result.history, path, trained_now=True)


def find_trained(config: Config, artifacts_dir: str | Path | None = None) -> TrainedModel | None:
    """The saved model of exactly this config, from `artifacts_dir`, as shipped, or of a run."""
    places = [shipped_dir(), working_dir(artifacts_dir)]
    for place in reversed(places) if artifacts_dir else places:
        path = place / f"{config.slug}.safetensors"
        if path.is_file():
            found = _read_safetensors(path, config.device)
            # The name spells most settings out and hashes the rest: it is a hint, not a proof.
            if config_of(found.model) == config:
                return found
    return None


def classic_state_dict(model: TransformerBridge) -> dict[str, Tensor]:
    """The weights under `HookedTransformer` names and shapes, with the buffers it expects.

    Source: TransformerLens 3, `HookedTransformer.state_dict()`. The list mask goes into each
    layer's `mask` buffer (True = may attend), so that the old class computes the same.
    """
    weights = model.tl_parameters().items()  # with zeros for an MLP that is not there
    classic = {name: weight for name, weight in weights if ".mlp." not in name}
    for layer, block in enumerate(model.blocks):
        attention = block.attn.original_component
        classic[f"blocks.{layer}.attn.mask"] = ~attention.causal_mask
        classic[f"blocks.{layer}.attn.IGNORE"] = torch.tensor(float("-inf"))
    return {name: weight.detach().cpu().contiguous() for name, weight in classic.items()}


def _read(path: Path, config: Config | None) -> TrainedModel:
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {str(path)!r}")
    if path.suffix == ".safetensors":
        found = _read_safetensors(path, "auto" if config is None else config.device)
        stored = config_of(found.model)
        for name in ARCHITECTURE_FIELDS if config is not None else ():
            if getattr(config, name) != getattr(stored, name):
                raise CheckpointError(
                    f"{path.name} was made with {name} {getattr(stored, name)!r}, "
                    f"but the config says {getattr(config, name)!r}"
                )
        return found
    if path.suffix == ".pt":
        if config is None:
            raise CheckpointError(f"{path.name} holds weights only: a config is needed to load it")
        return TrainedModel(_read_classic(path, config), None, path)
    raise CheckpointError(f"a checkpoint must end in .safetensors or .pt, got {str(path)!r}")


def _read_safetensors(path: Path, device: str) -> TrainedModel:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} is damaged, or of another kind: {error}") from None
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path.name} was not written by save_model: its format is {metadata.get('format')!r}, "
            f"not {FORMAT!r}"
        )
    try:
        config = Config(**json.loads(metadata["config"])).replace(device=device)
        history = metadata.get("history")
        history = History.from_dict(json.loads(history)) if history else None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} carries a damaged config or history: {error}") from None
    return TrainedModel(_filled(config, weights, path), history, path)


def _read_classic(path: Path, config: Config) -> TransformerBridge:
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a bad file, none of them documented
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path.name} is damaged or not plain weights: {reason}") from None
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str)
        and isinstance(value, Tensor)
        and (value.layout, value.is_meta) == (torch.strided, False)
        for name, value in loaded.items()
    ):
        raise CheckpointError(f"{path.name} is not a state dict of dense tensors by name")
    try:
        weights = convert_tl_checkpoint(loaded, make_model(config).cfg)
    except ValueError as error:
        raise CheckpointError(f"{path.name} does not fit the config: {error}") from None
    model = _filled(config, weights, path)
    # Code that adds the list mask by hooks leaves the library's causal one, or none at all.
    causal = torch.ones(config.seq_len, config.seq_len, dtype=torch.bool).tril()
    for layer, ours in enumerate(build_mask(config)):
        mask = loaded.get(f"blocks.{layer}.attn.mask", torch.empty(0))
        if mask.numel() and not any(torch.equal(mask.bool(), one) for one in (ours, causal)):
            raise CheckpointError(
                f"{path.name} does not fit its config: blocks.{layer}.attn.mask is neither the "
                "config's mask nor the plain causal one"
            )
    return model


def _filled(config: Config, weights: dict[str, Tensor], path: Path) -> TransformerBridge:
    """A model with these weights, each checked by name."""
    held = sum(weight.numel() for weight in weights.values())
    if 100 * held < config.n_weights:  # before any memory is taken
        raise CheckpointError(
            f"{path.name} does not fit its config: it holds {held:,} numbers, "
            f"{config.n_weights:,} are needed"
        )
    model = make_model(config)
    expected, frozen = model.state_dict(), frozen_weights(model)
    problems = [f"{name} is missing" for name in expected if name not in weights]
    problems += [f"{name} is unknown" for name in weights if name not in expected]
    for name in expected.keys() & weights.keys():
        weight, wanted = weights[name], expected[name]
        if weight.shape != wanted.shape:
            shapes = f"{tuple(weight.shape)}, not {tuple(wanted.shape)}"
            problems.append(f"{name} has shape {shapes}")
        elif not weight.is_floating_point() or not weight.to(wanted.dtype).isfinite().all():
            problems.append(f"{name} holds values that are not finite numbers")
        elif name in frozen and not torch.equal(weight, wanted.cpu().to(weight.dtype)):
            problems.append(f"{name} differs from its frozen value ({frozen[name]})")
    if problems:
        raise CheckpointError(f"{path.name} does not fit its config: {'; '.join(sorted(problems))}")
    model.load_state_dict(weights)
    return model
