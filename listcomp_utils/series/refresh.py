"""Refreshing what is committed (`make refresh`, for maintainers): outputs, pictures, README.

check_drawing()                       # before the series runs: is there a browser to draw with?
add_pictures(run / "01_train.ipynb")  # a PNG beside every figure, for readers without JavaScript
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import plotly.graph_objects as go
from PIL import Image

from listcomp_utils.config import ConfigError
from listcomp_utils.files import runs_dir, write_atomically
from listcomp_utils.notebook.claims import format_value, outputs_with
from listcomp_utils.notebook.show import METADATA_KEY, PLOTLY_MIME
from listcomp_utils.series.checks import series_dir
from listcomp_utils.series.pairs import copy_outputs, notebook_sources, sync_series
from listcomp_utils.series.run import run_series

WIDTH, HEIGHT = 700, 450
"""Pixels of a picture whose figure does not name its own."""
PALETTE = 32
PICTURE_FROM = "02_attention"
START, END = "<!-- results: written by make refresh -->", "<!-- end of results -->"


def refresh() -> int:
    """Run the series and commit its outputs, with pictures, to the pairs and the README.

    Raises:
        ConfigError: before anything runs, when kaleido or a browser is missing.
    """
    check_drawing()
    root, run = series_dir().parent, runs_dir() / "refresh"
    sync_series()
    status = run_series({}, name="refresh")
    if status == 0:
        sources = notebook_sources(series_dir())
        add_pictures([run / f"{source.stem}.ipynb" for source in sources])
        for source in sources:
            copy_outputs(run / f"{source.stem}.ipynb", source)
        write_results(root / "README.md", run / "claims.json")
        write_picture(root / "artifacts" / "readme.png", run / f"{PICTURE_FROM}.ipynb")
    return status


def check_drawing() -> None:
    """Raise ConfigError, saying what to install, unless kaleido and its browser draw a picture."""
    try:
        with _drawing() as draw:
            draw(go.Figure(), {"format": "png", "width": 20, "height": 20})
    except ImportError:
        raise ConfigError(
            "refresh draws its pictures with kaleido: pip install '.[maintain]'"
        ) from None
    except Exception as error:  # kaleido's and its browser's own kinds
        raise ConfigError(
            "refresh draws its pictures with Chromium or Chrome (apt install chromium, or "
            f"kaleido_get_chrome), which did not start: {type(error).__name__}: {error}"
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


def write_results(readme: Path, claims_file: Path) -> None:
    """Put a run's claims between the README's markers: a table a notebook, folded away.

    Raises:
        ValueError: when the markers are missing.
    """
    parts = [START]
    for notebook, claims in json.loads(claims_file.read_text())["claims"].items():
        rows = [["figure", "value", "expected"], ["---"] * 3]
        rows += [[c["name"], format_value(c["value"]), c["expected"] or "shown"] for c in claims]
        escaped = [[word.replace("|", "\\|") for word in row] for row in rows]
        table = "\n".join(f"| {' | '.join(row)} |" for row in escaped)
        head = f"<details><summary>{notebook}: {len(claims)} figures</summary>"
        parts.append(f"{head}\n\n{table}\n\n</details>")
    before, start, rest = readme.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{readme.name} lacks the markers {START!r} and {END!r}")
    new = "\n".join([*parts, END])
    write_atomically(readme, f"{before}{new}{after}".encode())


def write_picture(path: Path, executed: Path) -> None:
    """Save the main figure of an executed notebook; raises ValueError when it has none."""
    for output in outputs_with(nbformat.read(executed, as_version=4), "image/png"):
        if output.metadata.get(METADATA_KEY, {}).get("main"):
            write_atomically(path, base64.b64decode(output.data["image/png"]))
            return
    raise ValueError(f"{executed.name} shows no main figure")


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
    drawn = Image.open(io.BytesIO(draw(go.Figure(figure), {"format": "png", "scale": 1, **size})))
    packed = io.BytesIO()
    drawn.convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE).save(
        packed, format="png", optimize=True
    )
    return packed.getvalue()
