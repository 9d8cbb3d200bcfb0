"""06_features runs with the least settings there are, and claims nothing of another model."""

import nbformat

from listcomp_utils.notebook.claims import recorded_claims
from listcomp_utils.series.run import execute_notebook, series_dir


def test_the_least_settings_on_a_model_without_a_known_separator(runs, tmp_path):
    smallest = {"d_sae": 5, "k": 1, "sae_steps": 5, "n_seeds": 1, "steer_lists": 10}
    parameters = {"preset": "seed", "checkpoint": "mine.pt", **smallest}
    output = tmp_path / "06_features.ipynb"
    notebook = series_dir() / "06_features.ipynb"
    assert execute_notebook(notebook, output, parameters) is None
    executed = nbformat.read(output, as_version=4)
    printed = "".join(
        out.text for cell in executed.cells for out in cell.get("outputs", []) if "text" in out
    )
    assert "The parameters ask for autoregressive-len2" in printed
    assert "needs layer_norm=False" in printed and "mine.pt is not read" in printed
    claims = recorded_claims(executed)
    assert len(claims) > 25 and {claim["holds"] for claim in claims} == {None}
