"""A series of three tiny notebooks, to run in seconds."""

from pathlib import Path

import nbformat
import pytest

OPENING = "# Does {name} work?\n\n**Answer.** It does: $x < y$.\n\n**You need** nothing."
PARAMETERS = """# Parameters: change a value here, or add any other field of Config
preset: str = "seed"  # starting point
steps: int = None  # optimiser steps
{option}"""
CODE = """from listcomp_utils.notebook.claims import check_claims, equals, shown
from listcomp_utils.notebook.parameters import read_parameters
from listcomp_utils.notebook.show import show
import plotly.graph_objects as go

config, options = read_parameters(globals())
print(config.slug, options.draws)
bar = go.Figure(go.Bar(x=["o1"], y=[1 / 3]), layout_height=333)
show(bar, "A bar: it ends </script> here.", main=True)
show(go.Figure(go.Scatter(y=list(range(9)))), alt="A line.", interactive=False)
claims = [equals("o2<-o1 <b>matters</b> | twice", 1, 1), shown("steps", config.steps)]
check_claims("{name}", claims)
{more}"""


def write_notebook(path: Path, option: str = "", more: str = "") -> None:
    """A notebook with parameters, two figures and claims."""
    name = path.stem
    parameters = nbformat.v4.new_code_cell(PARAMETERS.format(option=option))
    parameters.metadata.tags = ["parameters"]
    code = nbformat.v4.new_code_cell(CODE.format(name=name, more=more))
    opening = nbformat.v4.new_markdown_cell(OPENING.format(name=name))
    nbformat.write(nbformat.v4.new_notebook(cells=[opening, parameters, code]), path)


@pytest.fixture(scope="module")
def tiny_series(tmp_path_factory):
    """01_one, 02_two (which has an option, `draws`) and 05_five, in place of the real ones."""
    root = tmp_path_factory.mktemp("clone")
    (root / "notebooks").mkdir()
    write_notebook(root / "notebooks" / "01_one.ipynb")
    write_notebook(root / "notebooks" / "02_two.ipynb", "draws: int = 20  # draws")
    write_notebook(
        root / "notebooks" / "05_five.ipynb", more="if config.seed == 13: raise ValueError('<13>')"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("listcomp_utils.series.checks.repository_dir", lambda: root)
        yield root / "notebooks"
