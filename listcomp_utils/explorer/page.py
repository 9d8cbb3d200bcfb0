"""The page on which a reader chooses a list, sees what SEP makes of it, and edits it.

    html = explorer_page()                                # the shipped models and the one by hand
    write_page(Path("explorer.html"), checkpoint)         # with a model of one's own in front
    show_explorer()                                       # in a notebook

`page.html` holds the page and its script, which computes everything by the closed form in float64;
this module puts in the weights.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from listcomp_utils.checkpoints import CheckpointError, find_trained, load_model
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.order_axis import check_pairs
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.construction.proof import hand_built
from listcomp_utils.files import check_writable, write_atomically
from listcomp_utils.model import config_of
from listcomp_utils.notebook.show import show_page

MOST_DIGITS = 300
"""A page computes all lists each time something is moved: more would not keep up with a hand."""
MOST_BYTES = 1_000_000
"""The largest page: one that opens at once on a phone."""
TEMPLATE = Path(__file__).with_name("page.html")
PLACE = "/* the models */"
"""Where the template takes the weights."""
TITLES = {
    "study": ("Trained", "the study's model, trained on 8,000 of the 10,000 lists"),
    "ranked": ("Trained, ranked start", "the same lists and size, from a rough order"),
    "hand": ("Set by hand", "every weight chosen by hand, two numbers wide"),
}


def shipped_models() -> dict[str, nn.Module]:
    """The models that every page holds, by the keys of `TITLES`."""
    models: dict[str, nn.Module] = {}
    for preset in ("study", "ranked"):
        found = find_trained(Config.preset(preset, device="cpu"))
        if found is None:
            raise ConfigError(f"the checkpoint of preset {preset!r} is not in artifacts/")
        models[preset] = found.model
    return models | {"hand": hand_built(Config.preset("study", d_model=2, device="cpu"))}


def explorer_page(yours: nn.Module | None = None, name: str = "Yours") -> str:
    """The whole page as HTML, a model of one's own first where one is given.

    Raises:
        ConfigError: for a model that is not of the study's architecture with lists of two, that
            has too many digits or a weight that is not finite, or makes the page too large.
    """
    models = shipped_models() if yours is None else {"yours": yours, **shipped_models()}
    titles = TITLES | {"yours": (name, "the model given")}
    entries = [model_entry(model, key, *titles[key]) for key, model in models.items()]
    # Inside a script element only "</" ends it, and "<!--" starts a comment.
    data = json.dumps(entries, separators=(",", ":")).replace("<", "\\u003c")
    page = TEMPLATE.read_text(encoding="utf-8").replace(PLACE, data)
    if len(page.encode()) > MOST_BYTES:
        config = config_of(models["yours"])
        raise ConfigError(
            f"n_digits {config.n_digits} and d_model {config.d_model} make a page of "
            f"{len(page.encode()):,} bytes: at most {MOST_BYTES:,}"
        )
    return page


def model_entry(model: nn.Module, key: str, title: str, about: str) -> dict[str, Any]:
    """What the page's script reads of a model: words, sizes, and weights in base 64.

    `queries` are what SEP in layer 0 and o2 in layer 1 multiply a key's residual by. Each of their
    sums is rounded once (`math.fsum`), so that the page has the same bytes on every machine.
    """
    config = config_of(model)
    check_pairs(config)
    if config.n_digits > MOST_DIGITS:
        raise ConfigError(f"the page takes n_digits up to {MOST_DIGITS}, got {config.n_digits}")
    weights = weights_of(model)
    arrays = {name: getattr(weights, name).numpy() for name in ("token", "position", "unembed")}
    token, position = weights.token.double().numpy(), weights.position.double().numpy()
    separator = token[config.sep_id] + position[config.sep_position]
    second = token[config.mask_id] + position[config.output_positions[-1]]
    blocks, queries = getattr(model, "original_model", model).layers, []
    for block, held in zip(blocks, (separator, second), strict=True):
        parts = (block.attn.q, block.attn.k)
        query, key_matrix = (part.weight.detach().cpu().double().numpy() for part in parts)
        asked = np.array([math.fsum(row * held) for row in query])
        queries.append([math.fsum(column * asked) for column in key_matrix.T])
    arrays["queries"] = np.array(queries) / math.sqrt(config.d_head)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ConfigError(f"model {key!r}: {name} holds a number that is not finite")
    sizes = {"digits": config.n_digits, "width": config.d_model}
    tokens = {"sep": config.sep_id, "mask": config.mask_id}
    packed = {name: _packed(array) for name, array in arrays.items()}
    return {"key": key, "title": title, "about": about, **sizes, **tokens, **packed}


def _packed(array: np.ndarray) -> dict[str, str]:
    """An array in base 64, little end first: in float32 where that loses nothing."""
    kind = "float32" if (array == array.astype(np.float32)).all() else "float64"
    data = array.astype(np.dtype(kind).newbyteorder("<")).tobytes()
    return {"type": kind, "data": base64.b64encode(data).decode()}


def write_page(path: Path, checkpoint: Path | None = None) -> Path:
    """Write the page, whole or not at all; a `.pt` file is read as of the preset "study".

    Raises:
        ConfigError: as `explorer_page`, or for a file that cannot be read or written.
    """
    yours, name = None, "Yours"
    if checkpoint is not None:
        config = Config.preset("study", device="cpu") if checkpoint.suffix == ".pt" else None
        try:
            yours, name = load_model(checkpoint, config), checkpoint.stem
        except CheckpointError as error:
            of = "" if config is None else " (a .pt is read as of preset 'study')"
            raise ConfigError(f"checkpoint: {error}{of}") from None
    page = explorer_page(yours, name)
    check_writable(path.parent, "out: folder")
    write_atomically(path, page.encode())
    return path


def show_explorer() -> None:
    """Show the page in a notebook; where nobody watches, write explorer.html beside the report."""
    words = "The explorable page: choose a list, move SEP along the order axis, cut an edge"
    show_page(explorer_page(), "explorer", words, height=900)
