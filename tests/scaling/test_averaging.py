"""Recipes: which lists they are judged by, and what averaged weights are."""

from __future__ import annotations

import torch

from listcomp_utils.config import Config
from listcomp_utils.scaling.averaging import AveragedWeights, judging_lists
from listcomp_utils.task import split_lists
from listcomp_utils.training.loop import train, train_many


def study(**changes):
    settings = dict(n_digits=5, d_model=8, steps=10, eval_every=1, warmup_steps=1)
    return Config.preset("study", device="cpu", **{**settings, **changes})


def test_a_recipe_is_chosen_on_lists_that_nothing_else_sees():
    inner = study(n_digits=10, train_fraction=0.7)
    whole = split_lists(inner.replace(train_fraction=0.8))
    chosen_on = {tuple(row) for row in judging_lists(inner).tolist()}
    assert len(chosen_on) == 10 and chosen_on <= {tuple(row) for row in whole.train.tolist()}
    assert not chosen_on & {tuple(row) for row in split_lists(inner).train.tolist()}
    assert torch.equal(judging_lists(inner.replace(train_fraction=0.8)), whole.held_out)


def test_averaged_weights_are_the_mean_over_the_last_evaluations():
    config = study(schedule="constant")
    average = AveragedWeights(config)
    (result,) = train_many(config, [config.seed], "none", callback=average)
    states = [
        train(config.replace(steps=steps), progress="none").last_model.W_E for steps in (8, 9, 10)
    ]
    own = average.average.module.tok_embed.weight
    torch.testing.assert_close(own, sum(states) / 3, rtol=1e-4, atol=1e-5)
    figures = average.figures(result)
    assert figures["judged_on"] == "held-out" and 0 <= figures["averaged_per_token"] <= 1
