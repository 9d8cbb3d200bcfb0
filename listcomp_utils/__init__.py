"""Support for the notebooks: task, mask, model, training, checkpoints, figures.

Names resolve when first used, so that `import listcomp_utils` costs nothing and a wrong setting
fails before PyTorch and TransformerLens are loaded.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

# TransformerLens imports a progress bar for notebook widgets, which this project does not use.
warnings.filterwarnings("ignore", message="IProgress not found")

__version__ = "0.1.0"  # the one place: pyproject.toml reads it here

_MODULE_OF = {
    "Config": "config",
    "ConfigError": "config",
    "all_lists": "task",
    "check_lists": "task",
    "input_tokens": "task",
    "loss_floor": "task",
    "sample_lists": "task",
    "split_lists": "task",
    "target_tokens": "task",
    "ListError": "task",
    "build_mask": "mask",
    "edge_label": "mask",
    "edges": "mask",
    "make_model": "model",
    "parameter_table": "model",
    "accuracy": "generation",
    "generate": "generation",
    "mean_loss": "generation",
    "train": "training.loop",
    "train_many": "training.loop",
    "CheckpointError": "checkpoints",
    "load_model": "checkpoints",
    "load_or_train": "checkpoints",
    "save_model": "checkpoints",
    "run_sweep": "sweeps.training",
    "SAE": "features.sae",
    "SAEConfig": "features.sae",
    "SAEError": "features.sae",
    "train_sae": "features.sae",
    "load_sae": "features.sae_files",
    "open_sae": "features.sae_files",
    "read_released": "features.sae_files",
    "save_sae": "features.sae_files",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
