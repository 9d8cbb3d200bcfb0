"""Many SAEs on one model: over k, width and seed, and on vectors whose dictionary is planted.

rows = [grid_row(separator, SAEConfig(d_sae=128, k=3, seed=seed))[0] for seed in range(3)]
sae = load_or_train_sae(separator, SAEConfig(d_sae=128, k=3))     # shipped, kept, or trained
recovery_row(n_digits=50, d_model=32, share=0.5, seed=0)          # is a planted dictionary found?
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from listcomp_utils.features.latents import (
    CLEAN,
    binary,
    live_directions,
    match_latents,
    matched_cosines,
)
from listcomp_utils.features.sae import SAE, SAEConfig, train_sae
from listcomp_utils.features.sae_files import load_sae, save_sae
from listcomp_utils.features.separator import KnownSeparator, quality
from listcomp_utils.files import check_writable, shipped_dir, working_dir, write_atomically
from listcomp_utils.representation import cosine_similarities

KS = (1, 2, 3, 4, 5)
WIDTHS = (64, 128, 256, 512)
SEEDS = (0, 1, 2)
STEPS = 3_000
LONG_STEPS = 12_000
"""Steps of some more SAEs of the shipped width with k = 1 and 2: with fewer active latents than the
vectors have parts, training settles late."""

FOLLOW_UP = ((1, 50), (2, 100), (3, 100), (4, 100))
"""More pairs of k and width, at which the study's follow-up gives figures."""

SHIPPED_WIDTH, SHIPPED_K = 128, 3
"""Latents, all and active, of the SAEs that ship."""

RECOVERIES = (
    *({"n_digits": n, "d_model": 64, "share": 1.0} for n in (10, 25, 50, 100)),
    *({"n_digits": 100, "d_model": d, "share": 1.0} for d in (8, 16, 32)),
    *({"n_digits": 100, "d_model": 64, "share": s} for s in (0.01, 0.03, 0.1)),
)
"""Planted dictionaries: the digits, the width and the share of lists vary one at a time."""


@dataclass(frozen=True)
class GridRow:
    """One SAE, scored on every list unless it says held out."""

    k: int
    d_sae: int
    seed: int
    """-1 for an SAE made elsewhere, whose steps are 0."""
    steps: int
    seconds: float
    mse: float
    explained: float
    l0: float
    dead: int
    per_token: float
    per_list: float
    held_out_per_token: float
    held_out_per_list: float
    binary_per_token: float
    """With every active latent at its mean when active."""
    clean_digits: int
    order_latents: int


@dataclass(frozen=True)
class StabilityRow:
    """Matched cosines of the live decoder directions of SAEs that differ in the seed."""

    k: int
    d_sae: int
    mean: float
    """Over pairs of seeds."""
    lowest_pair: float
    same: float
    """Share of matched latents with a cosine of 0.9 or more."""
    random: float
    """Mean for random directions, as many and as wide."""


@dataclass(frozen=True)
class RecoveryRow:
    """One SAE on lists whose vectors are made from random digits and a random order axis."""

    n_digits: int
    d_model: int
    share: float
    """Share of all lists that the SAE was trained on."""
    seed: int
    digits_found: float
    """Share of digits with a latent within a cosine of 0.9, outside the order axis."""
    order_found: bool


def grid_row(separator: KnownSeparator, config: SAEConfig) -> tuple[GridRow, SAE]:
    """Train one SAE and score it."""
    start = time.perf_counter()
    sae, _ = train_sae(separator.vectors, config)
    return score_sae(separator, sae, time.perf_counter() - start), sae


def score_sae(separator: KnownSeparator, sae: SAE, seconds: float = math.nan) -> GridRow:
    """Score an SAE; `seconds` is how long its training took, where it is known."""
    latents = sae.encode(separator.vectors)
    scores = quality(separator, sae.decode(latents))
    flat = quality(separator, sae.decode(binary(latents)))
    match = match_latents(separator, sae)
    return GridRow(
        k=sae.k,
        d_sae=sae.d_sae,
        seed=sae.config.seed if sae.config else -1,
        steps=sae.config.steps if sae.config else 0,
        seconds=round(seconds, 1),
        mse=scores.mse,
        explained=scores.explained,
        l0=(latents > 0).sum(1).double().mean().item(),
        dead=len(match.where("dead")),
        per_token=scores.all_lists.per_token,
        per_list=scores.all_lists.per_list,
        held_out_per_token=scores.held_out.per_token,
        held_out_per_list=scores.held_out.per_list,
        binary_per_token=flat.all_lists.per_token,
        clean_digits=len(match.clean_digits),
        order_latents=len(match.where("order")),
    )


def stability_row(separator: KnownSeparator, saes: Sequence[SAE], seed: int = 0) -> StabilityRow:
    """Compare SAEs of equal k and width in pairs; raises ValueError for fewer than two."""
    if len(saes) < 2:
        raise ValueError(f"stability needs at least two SAEs, got {len(saes)}")
    live = [live_directions(separator, sae) for sae in saes]
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(one.shape, generator=generator) for one in live]
    pairs = list(itertools.combinations(range(len(saes)), 2))
    cosines = [matched_cosines(live[i], live[j]) for i, j in pairs]
    random = [matched_cosines(noise[i], noise[j]).mean() for i, j in pairs]
    means = [float(values.mean()) for values in cosines]
    return StabilityRow(
        k=saes[0].k,
        d_sae=saes[0].d_sae,
        mean=sum(means) / len(means),
        lowest_pair=min(means),
        same=float(sum((values >= CLEAN).mean() for values in cosines) / len(cosines)),
        random=float(sum(random) / len(random)),
    )


def planted_vectors(
    n_digits: int, d_model: int, share: float, seed: int
) -> tuple[Float[Tensor, "list d_model"], Float[Tensor, "digit d_model"], Float[Tensor, "d_model"]]:
    """Vectors of a share of all lists like the study's separator, with their digits and order axis.

    Digits are random directions, the order axis is half as long again; alpha1 is a logistic
    function of the difference of two random numbers, one for each digit, as in the trained model.
    """
    generator = torch.Generator().manual_seed(seed)
    digits = torch.randn(n_digits, d_model, generator=generator) / d_model**0.5
    axis = normalize(torch.randn(d_model, generator=generator), dim=0) * 1.5
    liking = 0.45 * torch.randn(n_digits, generator=generator)
    lists = torch.cartesian_prod(torch.arange(n_digits), torch.arange(n_digits))
    lists = lists[torch.randperm(len(lists), generator=generator)[: int(share * len(lists))]]
    first = torch.sigmoid(liking[lists[:, 0]] - liking[lists[:, 1]])[:, None]
    both = first * digits[lists[:, 0]] + (1 - first) * digits[lists[:, 1]]
    return both + (first - 0.5) * axis, digits, axis


def recovery_row(
    n_digits: int, d_model: int, share: float, seed: int, steps: int = 2000
) -> RecoveryRow:
    """Train an SAE (k = 3, twice as many latents as digits) on planted vectors and look."""
    vectors, digits, axis = planted_vectors(n_digits, d_model, share, seed)
    config = SAEConfig(d_sae=2 * n_digits, k=3, steps=steps, seed=seed)
    sae, _ = train_sae(vectors, config)
    directions = sae.decoder[(sae.encode(vectors) > 0).any(0)]
    unit = normalize(axis, dim=0)
    centred = digits - digits.mean(0)
    apart = [rows - (rows @ unit)[:, None] * unit for rows in (centred, directions)]
    found = cosine_similarities(*apart).max(1).values >= CLEAN
    order = cosine_similarities(directions, axis[None]).abs().max() >= CLEAN
    return RecoveryRow(n_digits, d_model, share, seed, found.double().mean().item(), bool(order))


def model_digest(separator: KnownSeparator) -> str:
    """Eight characters that tell one model's embeddings from another's."""
    digest = hashlib.sha256()
    for weight in (separator.weights.token, separator.weights.position, separator.weights.unembed):
        digest.update(weight.contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def sae_name(separator: KnownSeparator, config: SAEConfig) -> str:
    """File name of the SAE with these settings on this model: another model's is never taken."""
    settings = json.dumps([model_digest(separator), asdict(config)], sort_keys=True)
    short = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return f"sae-k{config.k}-latents{config.d_sae}-seed{config.seed}-{short}.safetensors"


def load_or_train_sae(
    separator: KnownSeparator, config: SAEConfig, artifacts_dir: str | Path | None = None
) -> SAE:
    """The SAE with these settings on this model: kept, shipped, or trained now and kept.

    Raises:
        ConfigError: when `artifacts_dir` cannot be written.
        SAEError: when the file that is there is damaged.
    """
    name, folder = sae_name(separator, config), working_dir(artifacts_dir)
    for path in (folder / name, shipped_dir() / name):
        if path.is_file():
            return load_sae(path)
    check_writable(folder)
    sae, _ = train_sae(separator.vectors, config)
    save_sae(sae, folder / name)
    return sae


def run_grid(
    separator: KnownSeparator, folder: str | Path, name: str, workers: int = 1, ship: bool = False
) -> dict[str, list[Any]]:
    """Train and score the whole grid, and save its tables to `folder`/`name`.json.

    With `ship` the small SAEs that the notebook reads are saved too, in the place of older ones,
    and planted dictionaries are looked for (they do not depend on the model).
    """
    folder = Path(folder)
    check_writable(folder)
    pairs = [*FOLLOW_UP, *((k, d) for d in WIDTHS for k in KS)]
    configs = [SAEConfig(d, k, STEPS, seed=s) for k, d in pairs for s in SEEDS]
    configs += [SAEConfig(SHIPPED_WIDTH, k, LONG_STEPS, seed=s) for k in (1, 2) for s in SEEDS]
    plans = [dict(one, seed=seed) for one in RECOVERIES for seed in SEEDS] if ship else []
    if workers > 1:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,))
    else:
        pool = ThreadPoolExecutor(1)
    with pool:
        jobs = [pool.submit(grid_row, separator, config) for config in configs]
        recoveries = [pool.submit(recovery_row, **plan) for plan in plans]
        for job in as_completed([*jobs, *recoveries]):
            print(job.result()[0] if job in jobs else job.result(), flush=True)
        done = [job.result() for job in jobs]
        recovered = [job.result() for job in recoveries]
    saes = {config: sae for config, (_, sae) in zip(configs, done, strict=True)}
    groups = [[saes[SAEConfig(d, k, STEPS, seed=s)] for s in SEEDS] for d in WIDTHS for k in KS]
    tables = {
        "grid": [row for row, _ in done],
        "stability": [stability_row(separator, group) for group in groups],
        "recovery": recovered,
    }
    write_tables(separator, tables, folder / f"{name}.json")
    if ship:
        for old in folder.glob("sae-*.safetensors"):
            old.unlink()
        for config, sae in saes.items():
            if (config.d_sae, config.k, config.steps) == (SHIPPED_WIDTH, SHIPPED_K, STEPS):
                save_sae(sae, folder / sae_name(separator, config))
    return tables


def write_tables(separator: KnownSeparator, tables: dict[str, list[Any]], path: str | Path) -> None:
    """Save tables of rows as JSON; raises ConfigError for a folder that cannot be written."""
    path = Path(path)
    check_writable(path.parent)
    plain = {name: [asdict(row) for row in table] for name, table in tables.items()}
    text = json.dumps({"model": model_digest(separator), **plain}, indent=1) + "\n"
    write_atomically(path, text.encode())


def shipped_tables(name: str, separator: KnownSeparator | None = None) -> dict[str, list[Any]]:
    """The tables "grid", "stability" and "recovery" that ship, empty where there are none.

    With a separator given, grid and stability are empty when they are another model's.
    """
    path = shipped_dir() / f"{name}.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    if separator is not None and found.get("model") != model_digest(separator):
        found = {"recovery": found.get("recovery", [])}
    kinds = {"grid": GridRow, "stability": StabilityRow, "recovery": RecoveryRow}
    return {table: [kind(**row) for row in found.get(table, [])] for table, kind in kinds.items()}
