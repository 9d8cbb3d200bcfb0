"""The command `sweep`: trainings and notebooks over a grid, its tables and its exit status."""

import nbformat
import pandas as pd
import pytest

from listcomp_utils.config import ConfigError
from listcomp_utils.notebook.claims import CLAIMS_MIME
from listcomp_utils.series import sweep as module
from listcomp_utils.series.sweep import notebook_cells, sweep

TINY = dict(steps=4, eval_every=2, n_digits=3, d_model=4, batch_size=9)


def test_notebook_grids_are_checked_like_their_parameters():
    cells = notebook_cells({"draws": ["2", 3]}, {"list_len": "3"}, "03")
    assert [cell["notebook"] for cell in cells] == ["03_ablation"] * 2
    assert [cell["draws"] for cell in cells] == [2, 3]
    assert cells[0]["list_len"] == 3 and cells[0]["d_model"] == 16
    for grid, named in [
        ({"draws": [0]}, r"draws must be at least 1, got 0 \(in the cell draws=0\)"),
        ({"draws": ["x"]}, "draws must be a whole number, got 'x'"),
        ({"drows": [1]}, "did you mean 'draws'"),
        ({"n_heads": [3]}, r"n_heads must divide .* \(in the cell n_heads=3\)"),
        ({"sample_list": ["[1,99]"]}, "sample_list must be 2 digits from 0 to 9"),
    ]:
        with pytest.raises(ConfigError, match=named):
            notebook_cells(grid, {}, "03")
    for start, named in [("0", "'0' starts 01_train, 02_attention"), ("x", "'x' starts none")]:
        with pytest.raises(ConfigError, match=f"--notebook must start one .*{named}"):
            notebook_cells({"seed": [1]}, {}, start)


def test_a_sweep_of_a_notebook_gives_its_claims(runs, capsys, monkeypatch):
    executed = []

    def execute(notebook, output, parameters):
        executed.append((notebook.stem, parameters["n_digits"], parameters["d_model"]))
        if parameters["n_digits"] == 6:
            return "ValueError: six"
        claims = [
            {"name": "held", "value": 0.5, "expected": "", "holds": True},
            {"name": "shown", "value": "x", "expected": "", "holds": None},
        ]
        data = nbformat.v4.new_output("display_data", data={CLAIMS_MIME: {"claims": claims}})
        cell = nbformat.v4.new_code_cell(outputs=[data])
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), output)
        return None

    monkeypatch.setattr(module, "execute_notebook", execute)
    assert sweep(["n_digits=5,6"], {}, notebook="03", jobs=1) == 1
    assert executed == [("03_ablation", 5, 16), ("03_ablation", 6, 16)]
    table = pd.read_csv(runs / "sweeps" / "03-n_digits" / "table.csv")
    first = table.iloc[0]
    assert (first["claims_held"], first["claims_checked"]) == (1, 1)
    assert (first["claim: held"], first["claim: shown"]) == (0.5, "x")
    kept = runs / "sweeps" / "03-n_digits" / "notebooks" / table["kept"][0]
    assert kept.name == "03_ablation.ipynb" and kept.is_file()
    assert table["error"][1].startswith("RuntimeError: ValueError: six (kept: ")
    printed = capsys.readouterr().out
    assert "cell 1/2: n_digits=5: claims held 1, claims checked 1" in printed
    assert "1 of 2 cells failed; --retry-failed" in printed
    for other in (dict(notebook="02"), dict()):
        with pytest.raises(ConfigError, match="holds notebook 03_ablation, not"):
            sweep(["n_digits=5"], {}, name="03-n_digits", jobs=1, **other)


def test_a_sweep_of_trainings_prints_its_tables_and_its_failures(runs, capsys):
    grid, how = ["seed=0..1", "lr=1e-2,1e30"], dict(jobs=1, models=str(runs / "models"))
    assert sweep(grid, TINY, **how) == 1
    printed = capsys.readouterr().out
    assert "cell 1/4: lr=0.01, seed=0: per token" in printed and "left)" in printed
    assert "FAILED RuntimeError: training diverged" in printed
    assert "2 of 4 cells failed; --retry-failed" in printed
    assert "share_broke_through" in printed
    assert (runs / "sweeps" / "seed-lr" / "table.csv").is_file()
    assert len(list((runs / "models").glob("*.safetensors"))) == 2
    assert sweep(["seed=0..1", "lr=1e-2"], TINY, name="seed-lr", **how) == 0
    assert "per token" not in capsys.readouterr().out  # nothing ran again


def test_long_tables_are_printed_in_part(runs, capsys, monkeypatch):
    monkeypatch.setattr(module, "MOST_PRINTED", 2)
    sweep(["seed=0..2"], TINY, jobs=1)
    first, gap, last = capsys.readouterr().out.split("seed status")[1].splitlines()[1:4]
    assert (first.split()[0], set(gap) - {" "}, last.split()[0]) == ("0", {"."}, "2")


def test_wrong_calls_make_no_folder(runs):
    with pytest.raises(ConfigError, match="name must be letters"):
        sweep(["seed=0"], TINY, name="../up")
    with pytest.raises(ConfigError, match="jobs must be at least 1, got 0"):
        sweep(["seed=0"], TINY, jobs=0)
    assert not runs.exists()
