"""Training: it learns, repeats bit for bit, freezes what it must, and survives an interrupt."""

import copy
import math

import pytest
import torch

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.model import make_model, parameter_table
from listcomp_utils.task import all_lists, loss_floor
from listcomp_utils.training import loop as training
from listcomp_utils.training import stacks
from listcomp_utils.training.history import breakthrough_step
from listcomp_utils.training.loop import train, train_many

SHORT = dict(steps=12, eval_every=4)


def weights(model):
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def test_the_seed_preset_learns_every_list(trained):
    best = trained.history.best
    assert best.train.per_list == 1.0
    assert best.train.n_lists == 100
    assert loss_floor(trained.config) <= best.train_loss <= 0.590
    assert best.held_out is None


def test_the_same_seed_gives_the_same_bits():
    config = Config.preset("study", n_digits=10, batch_size=16, **SHORT)
    one, same = (train(config, progress="none") for _ in range(2))
    other = train(config.replace(seed=1), progress="none")
    assert all(torch.equal(v, weights(same.model)[k]) for k, v in weights(one.model).items())
    assert one.history.evaluations == same.history.evaluations
    assert not torch.equal(weights(one.model)["embed.weight"], weights(other.model)["embed.weight"])


def test_training_leaves_global_state_alone():
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    train(Config(**SHORT), progress="none")
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("changes", [{}, dict(bias=False, learn_w_o=False, layer_norm=False)])
def test_frozen_weights_stay_and_trained_ones_move(changes):
    config = Config(**changes, **SHORT)
    fresh = make_model(config)
    result = train(config, progress="none")
    before, after = weights(fresh), weights(result.last_model)
    for row in parameter_table(fresh).itertuples():
        # A key bias shifts all scores of a query alike, so the softmax gives it no gradient.
        if not row.weight.endswith("k.bias"):
            assert torch.equal(before[row.weight], after[row.weight]) != row.trained, row.weight


def test_the_best_weights_by_training_loss_are_kept(monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 5.0])
    monkeypatch.setattr(stacks, "mean_loss", lambda model, lists: next(losses))
    seen = []

    def watch(seed, step, model):
        seen.append(copy.deepcopy(model.state_dict()))

    (result,) = train_many(Config(**SHORT), [0], progress="none", callback=watch)
    assert result.history.best_step == 4
    assert torch.equal(result.model.W_E, seen[1]["tok_embed.weight"])
    assert torch.equal(result.last_model.W_E, seen[3]["tok_embed.weight"])


def test_lists_too_many_to_enumerate_are_trained_on_and_scored_on_samples(monkeypatch):
    config = Config(n_digits=100, list_len=4, batch_size=64, **SHORT)
    monkeypatch.setattr(training, "MOST_EVALUATED", 200)
    history = train(config, progress="none").history
    assert history.evaluations[0].held_out.n_lists == 200


def test_an_interrupt_returns_what_was_learned(monkeypatch):
    """Seeds that had not begun are left out."""
    calls = []

    def interrupting(*arguments):
        calls.append(1)
        if len(calls) == 12 + 7:
            raise KeyboardInterrupt
        return real(*arguments)

    real = stacks.ModelStack.backward
    monkeypatch.setattr(stacks.ModelStack, "backward", interrupting)
    whole, cut = train_many(Config(**SHORT), [0, 1, 2], progress="none")
    assert not whole.history.interrupted and whole.history.steps_done == 12
    assert cut.history.interrupted and cut.history.steps_done == 6
    assert [row.step for row in cut.history.evaluations] == [0, 4, 6]


def batches_of(monkeypatch, config, seeds):
    seen, real = [], stacks.ModelStack.backward

    def spy(stack, lists):
        seen.append(lists.clone())
        return real(stack, lists)

    monkeypatch.setattr(stacks.ModelStack, "backward", spy)
    train_many(config, seeds, progress="none")
    monkeypatch.setattr(stacks.ModelStack, "backward", real)
    return torch.cat(seen)


def test_every_seed_reads_batches_of_its_own(monkeypatch):
    config = Config.preset("study", n_digits=10, batch_size=16, steps=3)
    both = batches_of(monkeypatch, config, [0, 1])
    assert not torch.equal(both[:3], both[3:])
    assert torch.equal(both[3:], batches_of(monkeypatch, config, [1]))


def test_seeds_trained_in_one_batch_are_those_trained_alone_up_to_rounding():
    """What CUDA does, tried here on the CPU."""
    for changes in ({}, dict(decoding="masked", loss_on="outputs", n_heads=2)):
        config = Config(device="cpu", steps=20, eval_every=10, **changes)
        configs = [config.replace(seed=seed) for seed in (3, 0, 7)]
        for together in training._train_group(configs, "none", None, None, lambda name: 1.0):
            alone = train(together.config, progress="none").history.evaluations
            for one, other in zip(together.history.evaluations, alone, strict=True):
                assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("preset", ["seed", "study"])
def test_cuda_gives_the_same_within_tolerance(preset):
    config = Config.preset(preset, steps=20, eval_every=10, batch_size=32)
    here = train_many(config.replace(device="cpu"), [0, 1], progress="none")
    there = train_many(config.replace(device="cuda"), [0, 1], progress="none")
    for one, other in zip(here, there, strict=True):
        last, its = one.history.evaluations[-1], other.history.evaluations[-1]
        assert last.train_loss == pytest.approx(its.train_loss, rel=1e-3)


def test_divergence_is_an_error_that_names_the_learning_rate():
    said = "training diverged.*after 4 steps.*lower lr .*weight_decay"
    with pytest.raises(RuntimeError, match=said):
        train(Config(lr=1e30, schedule="constant", layer_norm=False, **SHORT), progress="none")


@pytest.mark.parametrize("preset", ["seed", "study"])
def test_one_of_many_that_diverges_leaves_the_others_alone(preset):
    config = Config.preset(preset, n_digits=10, batch_size=16, **SHORT)

    def spoil(seed, step, model):
        if (seed, step) == (1, 4):
            model.head.weight.data[0, 0] = math.nan

    spoilt = train_many(config, [0, 1, 2], progress="none", callback=spoil)
    whole = train_many(config, [0, 1, 2], progress="none")
    assert [result.history.diverged for result in spoilt] == [False, True, False]
    assert [row.step for row in spoilt[1].history.evaluations] == [0, 4]
    assert all(weight.isfinite().all() for weight in weights(spoilt[1].model).values())
    for number in (0, 2):
        assert spoilt[number].history.evaluations == whole[number].history.evaluations


def test_training_ends_early_when_nothing_is_left_to_train():
    config = Config(lr=1e30, schedule="constant", layer_norm=False, steps=1000, eval_every=2)
    results = train_many(config, [0, 1], progress="none")
    assert [result.history.steps_done for result in results] == [2, 2]


def test_weights_too_large_for_a_first_loss_are_named():
    with pytest.raises(ConfigError, match="embed_scale must leave .* finite .*, got 1e\\+30"):
        train(Config(embed_scale=1e30, **SHORT), progress="none")


def test_an_unknown_way_to_show_progress_is_refused():
    with pytest.raises(ConfigError, match="progress must be one of .*, got 'loud'"):
        train(Config(**SHORT), progress="loud")


@pytest.mark.parametrize("seeds", [[], [1, 1], [0, -1], [0, 2**32], 3])
def test_seeds_must_be_different_whole_numbers(seeds):
    with pytest.raises(ConfigError, match="seed"):
        train_many(Config(), seeds)


def test_the_course_has_a_column_a_curve_and_held_out_ones_where_lists_are_held_out(trained):
    course = trained.history.course()
    best = course.loc[trained.history.best_step]
    assert best["loss, training lists"] == trained.history.best.train_loss
    assert best["o2, training lists"] == best["whole list, training"] == 1.0
    assert best["floor 0.576"] == trained.history.train_loss_floor
    assert not course.columns.str.contains("held out").any()
    split = train(Config(train_fraction=0.5, steps=2, eval_every=1), progress="none").history
    right = [row.held_out.per_list for row in split.evaluations]
    assert split.course()["whole list, held out"].tolist() == right


def test_breakthrough_is_where_order_becomes_known(trained):
    step = breakthrough_step(trained.history, trained.config)
    row = next(row for row in trained.history.evaluations if row.step == step)
    assert (row.train_loss - trained.history.train_loss_floor) * 2 < math.log(2) / 2
    short = train(Config(steps=2, eval_every=1), progress="none")
    assert breakthrough_step(short.history, short.config) is None


def test_the_learning_rate_warms_up_and_comes_down():
    config = Config(steps=100, warmup_steps=10, lr=2.0)
    rates = [training.learning_rate(config, step) for step in (0, 9, 10, 55, 100)]
    assert rates == pytest.approx([0.2, 2.0, 2.0, 1.0, 0.0])
    constant = config.replace(schedule="constant", warmup_steps=0)
    assert training.learning_rate(constant, 99) == 2.0


@pytest.mark.parametrize("changes", [dict(decoding="masked"), dict(list_len=1), dict(list_len=3)])
def test_other_tasks_train_too(changes):
    config = Config(n_digits=4, steps=60, eval_every=20, **changes)
    history = train(config, progress="none").history
    assert history.best.train_loss < history.evaluations[0].train_loss
    assert history.best.train_loss >= loss_floor(config, all_lists(config)) - 1e-6


def test_plain_lines_when_nobody_watches(capsys):
    train(Config(**SHORT), progress="auto")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("step 12/12: loss") and all("\r" not in line for line in lines)


def test_a_model_can_be_prepared_and_partly_frozen():
    config = Config(steps=5, eval_every=5)

    def prepare(model):
        model.tok_embed.weight.data.fill_(0.5)
        model.tok_embed.weight.requires_grad_(False)

    (result,) = train_many(config, [0], "none", prepare=prepare)
    before, after = make_model(config).state_dict(), result.last_model.state_dict()
    assert (after["embed.weight"] == 0.5).all()
    assert not torch.equal(after["unembed.weight"], before["unembed.weight"])


def test_a_weight_learned_at_ten_times_the_rate_moves_ten_times_as_far():
    """Adam's first step has the size of the rate."""
    config = Config.preset("study", n_digits=5, d_model=8, steps=1, warmup_steps=0, device="cpu")
    moved = {}
    for factor in (1.0, 10.0):
        seen = {}

        def keep(model, seen=seen):
            seen.update({n: (one, one.detach().clone()) for n, one in model.named_parameters()})

        how = dict(progress="none", prepare=keep)
        train_many(config, [0], rates=lambda name, f=factor: f if "pos" in name else 1.0, **how)
        moved[factor] = {
            name: (one - before).abs().max().item() for name, (one, before) in seen.items()
        }
    assert moved[10.0]["pos.weight"] == pytest.approx(10 * moved[1.0]["pos.weight"], rel=1e-3)
    assert moved[10.0]["head.weight"] == moved[1.0]["head.weight"] > 0
