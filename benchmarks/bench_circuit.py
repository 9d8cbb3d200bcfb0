"""The closed form against the hooked model on all 10,000 lists; bounds against every logit."""

from __future__ import annotations

import torch
from rows import Row, fastest

from listcomp_utils.checkpoints import load_or_train
from listcomp_utils.circuit.formula import logits, run, weights_of
from listcomp_utils.config import Config
from listcomp_utils.construction.accuracy_bounds import brute_force, sandwich
from listcomp_utils.model import make_model
from listcomp_utils.task import all_lists, input_tokens

BOUNDED_DIGITS = 400


def rows() -> list[Row]:
    """Least of several runs each, on the CPU threads that PyTorch takes by itself."""
    config = Config.preset("study", device="cpu")
    model = load_or_train(config).model
    lists, places = all_lists(config), config.prediction_positions
    tokens, weights = input_tokens(config, lists), weights_of(model)

    @torch.no_grad()
    def hooked() -> None:
        model(tokens)

    @torch.no_grad()
    def cached() -> None:
        model.run_with_cache(tokens)

    def formula() -> None:
        logits(weights, run(weights, lists), places)

    larger = config.replace(n_digits=BOUNDED_DIGITS)
    larger_weights = weights_of(make_model(larger), torch.float64)
    bounded, exhausted = (
        fastest(lambda compute=compute: compute(larger_weights), repeats=1)
        for compute in (sandwich, brute_force)
    )
    ours = fastest(formula, repeats=10) * 1e3
    what = "closed form, outputs' logits of all lists"
    return [
        Row(what, ours, fastest(hooked, repeats=10) * 1e3, "ms", "the hooked model, forward only"),
        Row(
            "  with patterns", ours, fastest(cached) * 1e3, "ms", "the hooked model with its cache"
        ),
        Row(f"sandwich, {BOUNDED_DIGITS} digits", bounded, exhausted, "s", "every logit"),
    ]
