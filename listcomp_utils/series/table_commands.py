"""The commands that train and measure the tables and checkpoints shipped in artifacts/.

python -m listcomp_utils seeds study
"""

from __future__ import annotations

import argparse
from pathlib import Path

from listcomp_utils.config import ConfigError


def add_table_commands(commands: argparse._SubParsersAction) -> None:
    """Add `seeds`, `plateau`, `dynamics`, `scaling` and `features` to the command line."""
    seeds = commands.add_parser("seeds", help="train several seeds of a preset and measure each")
    seeds.add_argument("preset", choices=["seed", "study"])
    seeds.add_argument("--count", type=int, default=8, help="seeds 0 to COUNT - 1 (8)")
    seeds.add_argument("--out", default="artifacts", help="folder of PRESET_seeds.json (artifacts)")
    seeds.set_defaults(command=_seeds)

    plateau = commands.add_parser(
        "plateau", help="the study preset's recipe against its authors', seed by seed"
    )
    plateau.add_argument("--count", type=int, default=20, help="seeds 0 to COUNT - 1 (20)")
    plateau.add_argument(
        "--authors-steps", type=int, default=50_000, help="steps of theirs (50000)"
    )
    plateau.set_defaults(command=_plateau)

    dynamics = commands.add_parser("dynamics", help="the order mechanism while both recipes train")
    dynamics.add_argument("--count", type=int, default=3, help="seeds 0 to COUNT - 1 (3)")
    dynamics.add_argument(
        "--authors-steps", type=int, default=50_000, help="steps of theirs (50000)"
    )
    dynamics.set_defaults(command=_dynamics)
    for command in (plateau, dynamics):
        command.add_argument("--out", default="artifacts", help="folder (artifacts)")

    scaling = commands.add_parser("scaling", help="the grids of 07_scaling")
    scaling.add_argument("--only", action="append", help="one grid (give it several times)")
    scaling.add_argument("--jobs", type=int, default=None, help="processes (one a core)")
    scaling.add_argument("--out", default="artifacts", help="folder of the tables (artifacts)")
    scaling.set_defaults(command=_scaling)

    features = commands.add_parser("features", help="train SAEs over k, width and seed")
    features.add_argument("--checkpoint", default=None, help="a model of the study's architecture")
    features.add_argument("--out", default="artifacts", help="folder of the tables (artifacts)")
    features.add_argument("--workers", type=int, default=2, help="processes (2)")
    features.set_defaults(command=_features)


def _seeds(options: argparse.Namespace) -> int:
    from listcomp_utils.ablation.seeds import seed_rows, write_rows
    from listcomp_utils.circuit.published import measure_seeds, write_seeds
    from listcomp_utils.config import Config

    config, path = Config.preset(options.preset), Path(options.out) / f"{options.preset}_seeds.json"
    rows = []
    for seed in range(options.count):
        rows += seed_rows(config, [seed])
        print(rows[-1], flush=True)
        write_rows(rows, path)
    print(f"saved {path}")
    if options.preset == "study":
        path = write_seeds(measure_seeds(config, range(options.count)), options.out)
        print(f"saved {path}")
    return 0


def _plateau(options: argparse.Namespace) -> int:
    from listcomp_utils.config import Config
    from listcomp_utils.scaling.plateau import FILE, study_recipe, try_recipe, write_outcomes

    recipes = {
        "this project's": Config.preset("study"),
        "the study's": study_recipe(options.authors_steps).replace(eval_every=500),
    }
    outcomes = []
    for name, config in recipes.items():
        outcomes.append(try_recipe(name, config, range(options.count)))
        print(
            f"{name} recipe: {outcomes[-1].left} of {options.count} seeds left the plateau in "
            f"{config.steps} steps, {outcomes[-1].mean_per_token:.4f} of held-out outputs right "
            f"(mean over seeds), {outcomes[-1].seconds / options.count:.1f} s a seed",
            flush=True,
        )
        write_outcomes(outcomes, Path(options.out) / FILE)
    return 0


def _dynamics(options: argparse.Namespace) -> int:
    from listcomp_utils.config import Config
    from listcomp_utils.scaling.dynamics import FILE, training_dynamics, write_courses
    from listcomp_utils.scaling.plateau import study_recipe

    ours = Config.preset("study", schedule="constant", steps=4_000, eval_every=50)
    theirs = study_recipe(options.authors_steps).replace(eval_every=500)
    courses = []
    for config in (ours, theirs):
        courses += training_dynamics(config, range(options.count))
        write_courses(courses, Path(options.out) / FILE)
    print(f"saved {Path(options.out) / FILE}")
    return 0


def _scaling(options: argparse.Namespace) -> int:
    import joblib

    from listcomp_utils.scaling.grids import GRIDS, check_grid
    from listcomp_utils.scaling.tables import make_table, write_table

    jobs = joblib.cpu_count() if options.jobs is None else options.jobs
    if jobs < 1:
        raise ConfigError(f"jobs must be at least 1, got {jobs}")
    names = options.only or list(GRIDS)
    for name in names:
        check_grid(name)
    for name in names:
        print(f"saved {write_table(make_table(name, jobs), options.out)}", flush=True)
    return 0


def _features(options: argparse.Namespace) -> int:
    if options.workers < 1:
        raise ConfigError(f"workers must be at least 1, got {options.workers}")
    from listcomp_utils.checkpoints import CheckpointError, load_or_train
    from listcomp_utils.config import Config
    from listcomp_utils.features.grid import run_grid
    from listcomp_utils.features.separator import separator_of

    try:
        trained = load_or_train(Config.preset("study"), checkpoint=options.checkpoint)
    except CheckpointError as error:
        raise ConfigError(f"checkpoint: {error}") from None
    own = options.checkpoint is None
    name = "features" if own else "features_released"
    run_grid(separator_of(trained.model), options.out, name, options.workers, ship=own)
    print(f"saved {Path(options.out) / name}.json")
    return 0
