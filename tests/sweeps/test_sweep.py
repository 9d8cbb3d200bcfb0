"""Sweeps: wrong grids are refused, no cell is lost or run twice, failures stay their own."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from listcomp_utils.__main__ import main
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.sweeps.cells import train_group
from listcomp_utils.sweeps.grid import config_cells, notebook_cells, parse_grid
from listcomp_utils.sweeps.records import RECORDS, open_records, read_records
from listcomp_utils.sweeps.run import run_cells, run_sweep
from listcomp_utils.sweeps.table import summary_rows

TINY = dict(steps=4, eval_every=2, n_digits=3, d_model=4, batch_size=9)
HERE = Path(__file__).parent


def refuse(configs):
    """A cell that fails without training anything."""
    raise ValueError(f"seed {configs[0].seed} refused")


def refuse_after_a_moment(configs):
    """The same, long enough to be killed in."""
    time.sleep(0.1)
    refuse(configs)


def die(configs):
    """A cell whose process is killed under it."""
    if configs[0].seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    refuse(configs)


def refuse_odd_seeds(configs):
    """Real trainings, but for odd seeds."""
    if any(config.seed % 2 for config in configs):
        raise ValueError("odd")
    return train_group(configs)


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / RECORDS).read_text().splitlines()]


def quiet(cells, folder, **how):
    return run_cells(cells, folder, **{"jobs": 1, "progress": "none", **how})


# The grid.


def test_values_ranges_and_lists_are_read():
    grid = parse_grid(["list_len=2, 3", "seed=0..2,7", "sample_list=[8,3],[3,8]", "lr=1e-3"])
    assert grid == {
        "list_len": ["2", "3"],
        "seed": [0, 1, 2, "7"],
        "sample_list": ["[8,3]", "[3,8]"],
        "lr": ["1e-3"],
    }


def test_cells_are_every_combination_once():
    cells = config_cells(parse_grid(["n_layers=1..2", "lr=1e-3,0.001,0.01"]), {"preset": "study"})
    settings = [(cell.config.n_layers, cell.config.lr) for cell in cells]
    assert settings == [(1, 0.001), (1, 0.01), (2, 0.001), (2, 0.01)]
    assert cells[0].config == Config.preset("study", n_layers=1, lr=0.001)
    assert cells[0].label == "n_layers=1, lr=0.001"
    base = Config.preset("study", lr=0.5)
    assert [c.config for c in config_cells({"seed": range(2)}, base)] == [
        base,
        base.replace(seed=1),
    ]


def test_a_cell_is_the_same_wherever_it_stands_in_a_grid():
    small = config_cells({"seed": [3]}, {"steps": "40"})
    large = config_cells({"steps": [20, 40], "seed": ["2", "3"]}, {})
    assert [cell.key for cell in small] == [cell.key for cell in large[-1:]]
    assert len({cell.key for cell in large}) == 4


@pytest.mark.parametrize(
    ("grid", "named"),
    [
        (["list_len=two"], "list_len must be a whole number, got 'two'"),
        (["list_len=0..2"], r"list_len must be at least 1, got 0 \(in the cell list_len=0\)"),
        (
            ["d_model=8", "n_heads=1,3"],
            r"n_heads must divide .* \(in the cell d_model=8, n_heads=3\)",
        ),
        (["seeds=1"], "unknown parameter 'seeds'; did you mean 'seed'"),
        (["seed=4..0"], "seed=4..0 is an empty range"),
        (["seed="], "seed has an empty value"),
        (["seed=1,,2"], "seed has an empty value"),
        (["seed"], "-g must be name=values"),
        (["seed=1", "seed=2"], "seed is in the grid twice"),
        (["seed=0..1000000000000"], "1,000,000,000,001 values; a grid has at most 10,000 cells"),
        (["seed=0..999", "split_seed=0..99"], r"100,000 cells \(1,000 seed x 100 split_seed\)"),
        (["steps=1,2"], "steps is in the grid and fixed to 4"),
        ([], "the grid is empty"),
    ],
)
def test_wrong_grids_are_refused(grid, named):
    with pytest.raises(ConfigError, match=named):
        config_cells(parse_grid(grid), {"steps": 4})


def test_notebook_grids_are_checked_like_their_parameters():
    cells = notebook_cells({"draws": ["2", 3]}, {"list_len": "3"}, "03")
    assert [cell.notebook for cell in cells] == ["03_ablation"] * 2
    assert [cell.settings["draws"] for cell in cells] == [2, 3]
    assert cells[0].settings["list_len"] == 3 and cells[0].settings["d_model"] == 16
    for grid, named in [
        ({"draws": [0]}, r"draws must be at least 1, got 0 \(in the cell draws=0\)"),
        ({"draws": ["x"]}, "draws must be a whole number, got 'x'"),
        ({"drows": [1]}, "did you mean 'draws'"),
        ({"sample_list": ["[1,99]"]}, "sample_list must be 2 digits from 0 to 9"),
    ]:
        with pytest.raises(ConfigError, match=named):
            notebook_cells(grid, {}, "03")
    with pytest.raises(ConfigError, match="'0' starts 01_train, 02_attention"):
        notebook_cells({"seed": [1]}, {}, "0")


# The records.


def test_a_file_cut_anywhere_loses_at_most_its_last_run(tmp_path):
    cells = config_cells({"seed": range(3)}, TINY)
    with open_records(tmp_path) as records:
        for cell in cells:
            records.append(cell, {"status": "done", "result": {"per_token": 0.5}, "seconds": 1})
    whole = (tmp_path / RECORDS).read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in [0, 1, ends[0] - 1, *range(ends[0], ends[2] + 1)]:
        (tmp_path / RECORDS).write_bytes(whole[:cut])
        # A line that lacks nothing but its end is whole.
        expected = sum(end - 1 <= cut for end in ends)
        assert len(read_records(tmp_path / RECORDS)) == expected
        if cut % 50 and cut not in (end - 1 for end in ends):
            continue
        with open_records(tmp_path) as records:
            assert [records.get(cell) is not None for cell in cells] == [
                place < expected for place in range(3)
            ]
            for cell in cells[expected:]:
                records.append(cell, {"status": "done", "result": {"per_token": 0.5}, "seconds": 1})
        assert (tmp_path / RECORDS).read_bytes() == whole


def test_damage_in_the_middle_is_named_not_dropped(tmp_path):
    (tmp_path / RECORDS).write_text('{"notebook": null,\n{}\n')
    with pytest.raises(ConfigError, match="line 1 of runs.jsonl is damaged"):
        quiet(config_cells({"seed": [0]}, TINY), tmp_path)


def test_records_of_a_config_that_has_gained_a_field_still_count(tmp_path):
    cells = config_cells({"seed": [0]}, TINY)
    quiet(cells, tmp_path, train=refuse)
    (record,) = lines(tmp_path)
    del record["settings"]["weight_decay"]  # as if written before there was one
    (tmp_path / RECORDS).write_text(json.dumps(record) + "\n")
    quiet(cells, tmp_path, train=refuse)
    assert len(lines(tmp_path)) == 1


def test_two_sweeps_of_one_name_do_not_mix(tmp_path):
    cells = config_cells({"seed": [0]}, TINY)
    with (
        open_records(tmp_path / "one"),
        pytest.raises(ConfigError, match="'one' is running already"),
    ):
        quiet(cells, tmp_path / "one")
    quiet(cells, tmp_path / "one", train=refuse)


def test_the_lock_goes_with_a_killed_process(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from listcomp_utils.sweeps.records import "
        "open_records\nwith open_records(Path(sys.argv[1])): print('held', flush=True), "
        "time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=HERE.parent
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(ConfigError, match="running already"), open_records(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with open_records(tmp_path) as records:
        assert records.all() == []


# Running.


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Four tiny trainings, of which the odd seeds fail; the folder and the rows."""
    folder = tmp_path_factory.mktemp("sweep") / "tiny"
    rows = quiet(config_cells({"seed": range(4)}, TINY), folder, train=refuse_odd_seeds)
    return folder, rows


def test_a_failed_cell_is_recorded_and_stops_no_other(swept):
    folder, rows = swept
    assert [row["status"] for row in rows] == ["done", "failed", "done", "failed"]
    assert rows[1]["error"] == "ValueError: odd"
    done = lines(folder)[0]
    assert done["result"]["scored_on"] == "all" and done["result"]["n_scored"] == 9
    assert done["result"]["steps_done"] == 4 and done["made_with"]["torch"]


def test_the_figures_are_those_of_the_training(swept):
    from listcomp_utils.generation import accuracy
    from listcomp_utils.training.loop import train

    trained = train(Config(**TINY, seed=2), progress="none")
    assert swept[1][2]["per_token"] == accuracy(trained.model).per_token
    assert swept[1][2]["train_loss"] == trained.history.best.train_loss


def test_resuming_repeats_nothing_and_failed_cells_only_when_asked(swept, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / RECORDS).write_bytes((swept[0] / RECORDS).read_bytes())
    cells = config_cells({"seed": range(4)}, TINY)
    before = (folder / RECORDS).read_bytes()
    assert quiet(cells, folder, train=refuse) == swept[1]
    assert (folder / RECORDS).read_bytes() == before
    rows = quiet(cells, folder, retry_failed=True)
    assert [row["status"] for row in rows] == ["done"] * 4
    assert [line["settings"]["seed"] for line in lines(folder)[4:]] == [1, 3]
    larger = config_cells({"seed": range(5)}, TINY)
    assert len(quiet(larger, folder)) == 5
    assert [line["settings"]["seed"] for line in lines(folder)[6:]] == [4]


def test_the_tables_hold_every_cell(swept):
    folder, rows = swept
    assert json.loads((folder / "table.json").read_text()) == rows
    with (folder / "table.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [row["seed"] for row in read] == ["0", "1", "2", "3"]
    (summary,) = json.loads((folder / "summary.json").read_text())
    assert (summary["seeds"], summary["failed"]) == (2, 2) and "seed" not in summary


def test_the_summary_is_over_seeds_that_broke_through():
    base = {**Config(**TINY).to_dict(), "status": "done", "error": None, "seconds": 2.0}
    reached = [(True, 0.9, 500), (True, 1.0, 300), (False, 0.5, None)]
    rows = [
        {
            **base,
            "seed": seed,
            "broke_through": through,
            "breakthrough_step": step,
            "per_token": accuracy,
            "per_list": accuracy**2,
        }
        for seed, (through, accuracy, step) in enumerate(reached)
    ]
    first, second = summary_rows([*rows, {**rows[2], "n_layers": 1}])
    assert (first["seeds"], first["broke_through"]) == (3, 2)
    assert first["share_broke_through"] == pytest.approx(2 / 3)
    assert first["per_token"] == pytest.approx(0.95)
    assert first["per_token_sd"] == pytest.approx(0.05 * 2**0.5)
    assert first["breakthrough_step_median"] == 400
    assert (second["n_layers"], second["broke_through"], second["per_token"]) == (1, 0, None)


def test_seeds_train_together_and_fall_back_on_their_own(tmp_path):
    seen = []

    def train(configs):
        seen.append([(config.n_layers, config.seed) for config in configs])
        return refuse_odd_seeds(configs) if configs[0].n_layers == 1 else train_group(configs)

    cells = config_cells({"seed": range(2), "n_layers": [1, 2]}, TINY)
    quiet(cells, tmp_path, train=train, stack_seeds=True)
    assert seen == [[(1, 0), (1, 1)], [(1, 0)], [(1, 1)], [(2, 0), (2, 1)]]
    by_cell = {(r["settings"]["n_layers"], r["settings"]["seed"]): r for r in lines(tmp_path)}
    assert [by_cell[cell]["status"] for cell in [(1, 0), (1, 1), (2, 0), (2, 1)]] == [
        "done",
        "failed",
        "done",
        "done",
    ]
    assert by_cell[1, 0]["group_error"] == {"type": "ValueError", "message": "odd"}
    assert by_cell[2, 1]["trained_together"] == 2


def test_own_figures_and_kept_models(tmp_path):
    from listcomp_utils.checkpoints import find_trained

    grid = {"seed": [5]}
    (row,) = run_sweep(
        grid,
        Config(**TINY),
        tmp_path / "x",
        jobs=1,
        progress="none",
        keep_models=tmp_path / "models",
        measure=lambda trained: {"evaluations": len(trained.history.evaluations), "odd": 1e400},
    )
    assert (row["evaluations"], row["odd"]) == (3, None)
    assert find_trained(Config(**TINY, seed=5), tmp_path / "models") is not None
    (row,) = run_sweep(
        grid, TINY, tmp_path / "y", jobs=1, progress="none", measure=lambda _: {"lr": 1}
    )
    assert "figures under names of settings: lr" in row["error"]


def test_a_cell_that_kills_its_process_is_the_only_one_to_fail_by_it(tmp_path):
    rows = quiet(config_cells({"seed": range(4)}, TINY), tmp_path, train=die, jobs=2)
    kinds = [row["error"].split(":")[0] for row in rows]
    assert kinds == ["ValueError", "TerminatedWorkerError", "ValueError", "ValueError"]
    assert len(lines(tmp_path)) == 4


def test_kill_9_loses_nothing_and_repeats_nothing(tmp_path):
    """The full trial, with real trainings and ten kills, is benchmarks/kill_sweep.py."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_sweep import TINY, refuse_after_a_moment\n"
        "from listcomp_utils.sweeps.run import run_sweep\n"
        "run_sweep({'seed': range(20)}, TINY, sys.argv[2], jobs=2, progress='none',"
        " train=refuse_after_a_moment)"
    )
    arguments = [sys.executable, "-c", code, str(HERE), str(tmp_path)]
    records, kept = tmp_path / RECORDS, b""
    for more in (1, 4, 3):
        process = subprocess.Popen(arguments, cwd=HERE.parent, stderr=subprocess.DEVNULL)
        wanted = kept.count(b"\n") + more
        deadline = time.monotonic() + 60
        while not records.exists() or records.read_bytes().count(b"\n") < wanted:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        process.wait()
        content = records.read_bytes()
        assert content.startswith(kept)
        kept = content[: content.rfind(b"\n") + 1]
    assert kept.count(b"\n") < 20
    subprocess.run(arguments, cwd=HERE.parent, check=True, stderr=subprocess.DEVNULL)
    assert records.read_bytes().startswith(kept)
    assert sorted(line["settings"]["seed"] for line in lines(tmp_path)) == list(range(20))
    assert len(json.loads((tmp_path / "table.json").read_text())) == 20


@pytest.fixture
def dask_cluster():
    """A function that starts a local cluster and gives the keywords to run on it."""
    distributed = pytest.importorskip("distributed")
    with contextlib.ExitStack() as stack:

        def start(workers, threads=1):
            cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=threads, dashboard_address=None
            )
            stack.enter_context(cluster)
            return dict(backend="dask", scheduler=cluster.scheduler_address)

        yield start


def test_a_dask_cluster_gives_what_this_machine_gives(tmp_path, dask_cluster):
    cells = config_cells({"seed": range(4)}, TINY)
    there = quiet(cells, tmp_path / "dask", train=refuse_odd_seeds, **dask_cluster(2))
    here = quiet(cells, tmp_path / "here", train=refuse_odd_seeds)
    for row in (*here, *there):
        del row["seconds"]
    assert there == here
    assert [row["status"] for row in here] == ["done", "failed", "done", "failed"]


def test_a_cell_that_kills_its_dask_worker_fails_alone(tmp_path, dask_cluster):
    rows = quiet(config_cells({"seed": range(3)}, TINY), tmp_path, train=die, **dask_cluster(1))
    kinds = [row["error"].split(":")[0] for row in rows]
    assert kinds == ["ValueError", "BrokenProcessPool", "ValueError"]


def test_a_dask_cluster_that_is_not_fit_is_refused(tmp_path, dask_cluster):
    cells = config_cells({"seed": range(2)}, TINY)
    with pytest.raises(ConfigError, match="workers of one thread each"):
        quiet(cells, tmp_path / "threads", **dask_cluster(1, threads=2))
    with pytest.raises(ConfigError, match="the backend dask needs scheduler"):
        quiet(cells, tmp_path / "none", backend="dask")


# The command.


def test_the_command_prints_its_tables_and_its_failures(runs, capsys):
    tiny = [part for name, value in TINY.items() for part in ("-p", name, str(value))]
    call = ["sweep", "-g", "seed=0..1", "-g", "lr=1e-2,1e30", *tiny, "--jobs", "1"]
    assert main(call) == 1
    printed = capsys.readouterr().out
    assert "[1/4] seed=0, lr=0.01: per token" in printed and "left)" in printed
    assert "FAILED RuntimeError: training diverged" in printed
    assert "2 of 4 cells failed; --retry-failed" in printed
    assert "broke through" in printed and "per token, given that" in printed
    assert (runs / "sweeps" / "seed-lr" / "table.csv").is_file()
    assert main([*call, "--name", "../up"]) == 2
    assert "name must be letters" in capsys.readouterr().err
    assert main([*call, "--jobs", "0", "--name", "other"]) == 2
    assert "jobs must be at least 1, got 0" in capsys.readouterr().err
    assert not (runs / "sweeps" / "other").exists()
