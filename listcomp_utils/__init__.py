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

_NAMES_IN = {
    "config": "Config ConfigError",
    "task": "ListError all_lists check_lists input_tokens loss_floor sample_lists split_lists "
    "target_tokens",
    "mask": "build_mask edge_label edges",
    "model": "make_model parameter_table",
    "generation": "accuracy generate mean_loss",
    "training.loop": "train train_many",
    "checkpoints": "CheckpointError load_model load_or_train save_model",
    "sweeps.training": "run_sweep",
    "features.sae": "SAE SAEConfig SAEError train_sae",
    "features.sae_files": "load_sae open_sae read_released save_sae",
}
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
