"""The page on which a reader chooses a list, sees what SEP makes of it, and edits it.

    html = explorer_page()                                # the shipped models and the one by hand
    write_page(Path("explorer.html"), checkpoint)         # with a model of one's own in front
    show_explorer()                                       # in a notebook

`page.html` holds the page and its script, which computes everything by the closed form in float64;
this module puts in the weights.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from listcomp_utils.checkpoints import CheckpointError, find_trained, load_model
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.construction.proof import hand_built
from listcomp_utils.explorer.entries import model_entry
from listcomp_utils.files import check_writable, write_atomically
from listcomp_utils.model import config_of
from listcomp_utils.notebook.show import show_page

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
    """The models that every page holds: "study" and "ranked" as shipped, and "hand", set by hand.

    Raises:
        ConfigError: when a shipped checkpoint is not there.
    """
    models: dict[str, nn.Module] = {}
    for preset in ("study", "ranked"):
        found = find_trained(Config.preset(preset, device="cpu"))
        if found is None:
            raise ConfigError(f"the checkpoint of preset {preset!r} is not in artifacts/")
        models[preset] = found.model
    models["hand"] = hand_built(Config.preset("study", d_model=2, device="cpu"))
    return models


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


def write_page(path: Path, checkpoint: Path | None = None) -> Path:
    """Write the page, whole or not at all; a `.pt` file is read as of the preset "study".

    Raises:
        ConfigError: as `explorer_page`, or for a file that cannot be read or written.
    """
    page = explorer_page()
    if checkpoint is not None:
        config = Config.preset("study", device="cpu") if checkpoint.suffix == ".pt" else None
        try:
            yours = load_model(checkpoint, config)
        except CheckpointError as error:
            raise ConfigError(f"checkpoint: {error}") from None
        page = explorer_page(yours, checkpoint.stem)
    check_writable(path.parent, "out: folder")
    write_atomically(path, page.encode())
    return path


def show_explorer(yours: nn.Module | None = None, height: int = 900) -> None:
    """Show the page in a notebook; where nobody watches, write explorer.html beside the report.

    Raises:
        ConfigError: as `explorer_page`.
    """
    words = "The explorable page: choose a list, move SEP along the order axis, cut an edge"
    show_page(explorer_page(yours), "explorer", words, height)
