"""Refreshing what is committed (`make refresh`, for maintainers): outputs, pictures, README.

add_pictures([run / "01_train.ipynb"])   # a PNG beside every figure, for readers without JavaScript
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import plotly.graph_objects as go
import torch
from PIL import Image

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.order_axis import order_axis
from listcomp_utils.circuit.tables import by_hand
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.files import runs_dir, write_atomically
from listcomp_utils.notebook.claims import outputs_with
from listcomp_utils.notebook.show import METADATA_KEY, PLOTLY_MIME
from listcomp_utils.plots.mechanism import draw_mechanism
from listcomp_utils.series import summary
from listcomp_utils.series.checks import clone_dir, series_dir
from listcomp_utils.series.pairs import copy_outputs, notebook_sources, sync_series
from listcomp_utils.series.run import run_series
from listcomp_utils.series.summary import Claims

WIDTH, HEIGHT = 700, 450
"""Pixels of a picture whose figure does not name its own."""
PALETTE = 32
PAIR = ((60, 44), (44, 60))
"""The list that README works through, and its reverse."""


def refresh() -> int:
    """Run the series and put its outputs, with pictures, into the pairs and the README."""
    root, run = clone_dir(), runs_dir() / "refresh"
    check_drawing()
    sync_series()
    status = run_series({}, name="refresh")
    if status == 0:
        sources = notebook_sources(series_dir())
        add_pictures([run / f"{source.stem}.ipynb" for source in sources])
        for source in sources:
            copy_outputs(run / f"{source.stem}.ipynb", source)
        write_summary(root, json.loads((run / "claims.json").read_text())["claims"])
    return status


def check_drawing() -> None:
    """Raise ConfigError, saying what to install, unless kaleido and its browser draw a picture."""
    try:
        with _drawing() as draw:
            draw(go.Figure(), {"format": "png", "width": 20, "height": 20})
    except Exception as error:  # kaleido's and its browser's own kinds
        raise ConfigError(
            "refresh draws its pictures with kaleido (pip install '.[maintain]') and Chromium or "
            f"Chrome (apt install chromium, or kaleido_get_chrome): {type(error).__name__}: {error}"
        ) from None


def add_pictures(executed: Sequence[Path]) -> None:
    """Put a PNG beside every figure of executed notebooks; in its place if not interactive."""
    with _drawing() as draw:
        for path in executed:
            notebook = nbformat.read(path, as_version=4)
            for output in outputs_with(notebook, PLOTLY_MIME):
                note, figure = output.metadata[METADATA_KEY], output.data[PLOTLY_MIME]
                output.data["image/png"] = base64.b64encode(_picture(draw, figure)).decode()
                output.metadata["image/png"] = {"alt": note["alt"]}
                if not note["interactive"]:
                    del output.data[PLOTLY_MIME]
            nbformat.write(notebook, path)


def write_summary(root: Path, claims: Claims) -> None:
    """Put what was found into the README and the folder artifacts, and draw the mechanism."""
    config = Config.preset("study", device="cpu")
    weights = weights_of(load_or_train(config).model, torch.float64)
    steps = by_hand(weights, torch.tensor(PAIR))
    found = summary.answer(claims)
    shown = dict(example=summary.example(steps), results=summary.key_results(claims))
    parts = {"answer": found, **shown}
    write_atomically(root / "README.md", filled(root / "README.md", parts).encode())
    write_atomically(root / "artifacts" / "ANSWER.md", found.encode())
    write_atomically(root / "artifacts" / "CLAIMS.md", summary.record(claims).encode())
    figure, picture = draw_mechanism(steps, order_axis(weights).scores), io.BytesIO()
    figure.savefig(picture, dpi=110)
    write_atomically(root / "artifacts" / "mechanism.png", _packed(picture))


def filled(page: Path, parts: Mapping[str, str]) -> str:
    """A page with other text between the markers of each part."""
    text = page.read_text()
    for name, part in parts.items():
        start, end = f"<!-- {name}: written by make refresh -->\n", f"<!-- end of {name} -->"
        before, opened, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (opened and closed):
            raise ValueError(f"{page.name} lacks the markers {start.strip()!r} and {end!r}")
        text = f"{before}{start}\n{part.strip()}\n\n{end}{after}"
    return text


@contextlib.contextmanager
def _drawing() -> Iterator[Any]:
    """kaleido's drawing function, with one browser for all figures and nothing from the network."""
    import kaleido

    kaleido.start_sync_server(mathjax=False)
    try:
        yield kaleido.calc_fig_sync
    finally:
        kaleido.stop_sync_server()


def _picture(draw: Any, figure: Any) -> bytes:
    """The figure as PNG with a palette: about a third of the size, to the eye the same."""
    layout = figure["layout"]
    size = {"width": layout.get("width", WIDTH), "height": layout.get("height", HEIGHT)}
    return _packed(io.BytesIO(draw(go.Figure(figure), {"format": "png", "scale": 1, **size})))


def _packed(picture: io.BytesIO) -> bytes:
    packed = io.BytesIO()
    Image.open(picture).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE).save(
        packed, format="png", optimize=True
    )
    return packed.getvalue()
