"""Interventions: an identity edit changes nothing at all, a real one does what it says."""

from __future__ import annotations

import pytest
import torch

from listcomp_utils.ablation.edges import (
    edge_table,
    knock_out,
    random_pattern,
    scale_edges,
    uniform_pattern,
)
from listcomp_utils.ablation.interventions import catalogue, score_intervention
from listcomp_utils.ablation.minimal_circuits import feeding_edges
from listcomp_utils.checkpoints import load_model
from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy
from listcomp_utils.hooks import (
    logits_with,
    reorder_lists,
    replace,
    replace_at,
    replace_head,
    run_all,
    score_with,
)
from listcomp_utils.mask import build_mask, edge_label
from listcomp_utils.model import make_model
from listcomp_utils.task import all_lists, split_lists

PATTERN = "blocks.1.attn.hook_pattern"


@pytest.fixture(scope="module")
def case(trained):
    lists = all_lists(trained.config)
    return trained.model, lists, run_all(trained.model, lists)


def changed(model, lists, hooks) -> float:
    return (logits_with(model, lists, hooks) - logits_with(model, lists)).abs().max().item()


def test_identity_edits_change_nothing_and_real_ones_do(case):
    model, lists, seen = case
    everyone = torch.arange(len(lists))
    ones = torch.ones(1, 1, 5, 5)
    mean = seen.patterns[:, 1].mean(0)
    half = torch.rand(1, 1, 5, 5).round()
    pairs = [
        (PATTERN, replace(seen.patterns[:, 1]), replace(mean)),
        (PATTERN, reorder_lists(everyone), reorder_lists(everyone.flip(0))),
        ("blocks.0.hook_resid_post", replace_at([], 0.0), replace_at([2], 0.0)),
        ("blocks.0.attn.hook_v", replace_head(0, seen.values[:, 0, :, 0]), replace_head(0, 0.0)),
    ]
    pairs += [
        (PATTERN, scale_edges(ones, removal, mean), scale_edges(half, removal, mean))
        for removal in ("zero", "renormalise", "mean")
    ]
    for name, identity, real in pairs:
        assert changed(model, lists, [(name, identity)]) == 0.0
        assert changed(model, lists, [(name, real)]) > 1e-4


def test_removed_edges_carry_no_attention(case):
    model, lists, seen = case
    edge = (1, 3, 2)
    patterns = {}

    def watch(pattern, hook):
        patterns[hook.name] = pattern.detach().clone()

    for removal, expected in (("zero", 0.0), ("renormalise", 0.0), ("mean", None)):
        mean = seen.patterns.mean(0)
        logits_with(model, lists, [*knock_out(model, [edge], removal, mean), (PATTERN, watch)])
        got = patterns[PATTERN]
        wanted = mean[1, 0, 3, 2] if expected is None else torch.tensor(expected)
        torch.testing.assert_close(got[:, 0, 3, 2], wanted.expand(len(lists)))
        untouched = [row for row in range(5) if row != 3]
        assert torch.equal(got[:, :, untouched], seen.patterns[:, 1][:, :, untouched])
        if removal == "renormalise":
            torch.testing.assert_close(got[:, 0, 3].sum(-1), torch.ones(len(lists)))


def test_edits_do_not_reach_the_model_itself(case):
    model, lists, _ = case
    before = logits_with(model, lists)
    logits_with(model, lists, knock_out(model, [(0, 2, 1)], "zero"))
    assert torch.equal(logits_with(model, lists), before)


def test_teacher_forced_lists_are_greedy_lists():
    model = make_model(Config(n_digits=3, list_len=2))
    lists = all_lists(Config(n_digits=3, list_len=2))
    assert score_with(model, lists).per_list == accuracy(model, lists).per_list


def test_uniform_and_random_patterns_keep_to_the_mask():
    config = Config.preset("study", n_heads=2)
    allowed = build_mask(config)
    for layer in (0, 1):
        draws = random_pattern(config, layer, 20, torch.Generator().manual_seed(0))
        for pattern in (uniform_pattern(config, layer), draws):
            assert (pattern[..., ~allowed[layer]] == 0).all()
            rows = allowed[layer].any(-1)
            sums = pattern.sum(-1)[..., rows]
            torch.testing.assert_close(sums, torch.ones_like(sums))


def test_wrong_calls_are_named(case):
    model, _, _ = case
    with pytest.raises(ValueError, match=r"edge \(0, 3, 0\) is not one of the mask's"):
        knock_out(model, [(0, 3, 0)], "zero")
    with pytest.raises(ValueError, match="removal must be one of"):
        knock_out(model, [(0, 2, 1)], "delete")
    with pytest.raises(ValueError, match="needs the mean pattern"):
        knock_out(model, [(0, 2, 1)], "mean")


def test_edges_that_cannot_reach_an_output_do_nothing(case):
    model, lists, _ = case
    table, feeding = edge_table(model, lists, "zero"), feeding_edges(Config())
    baseline = score_with(model, lists)
    assert all(score == baseline for edge, score in table.items() if edge not in feeding)
    assert any(table[edge].per_token < 0.7 for edge in feeding)


def test_the_catalogue_is_complete_and_repeats(case):
    model, lists, _ = case
    entries = catalogue(model, lists, draws=3, seed=0)
    groups = {entry.group for entry in entries}
    assert groups == {
        "attention pattern",
        "queries",
        "keys",
        "values",
        "residual stream",
        "position embedding",
    }
    assert len({(entry.group, entry.name) for entry in entries}) == len(entries)
    again = catalogue(model, lists, draws=3, seed=0)
    for entry, same in zip(entries[:4], again[:4], strict=True):
        assert score_intervention(model, lists, entry) == score_intervention(model, lists, same)
    random = next(entry for entry in entries if entry.name == "layer 0: random")
    scores = score_intervention(model, lists, random)
    assert len(scores) == 3 and len({score.loss for score in scores}) == 3


def test_published_edge_figures(reference):
    """Zeroed and renormalised single edges, mean patterns and the moderation edge of the study."""
    config = Config.preset("study")
    model = load_model(reference("published_len2_n100_d64.pt"), config)
    lists = split_lists(config).held_out
    baseline = score_with(model, lists)
    assert baseline.per_token == 0.9145
    expected = {
        "zero": {
            "L0 SEP<-d1": -50.9,
            "L0 SEP<-d2": -41.0,
            "L1 o1<-SEP": -48.9,
            "L1 o2<-SEP": -41.5,
            "L1 o2<-o1": -23.1,
        },
        "renormalise": {
            "L0 SEP<-d1": -41.0,
            "L0 SEP<-d2": -41.0,
            "L1 o1<-SEP": -48.9,
            "L1 o2<-SEP": -41.5,
            "L1 o2<-o1": -25.7,
        },
    }
    for removal, figures in expected.items():
        for edge, score in edge_table(model, lists, removal).items():
            points = 100 * (score.per_token - baseline.per_token)
            assert points == pytest.approx(figures.get(edge_label(config, edge), 0), abs=0.0501)
    mean = run_all(model, lists).patterns.mean(0)
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in (0, 1)]
    hooks = [(name, replace(mean[layer])) for layer, name in enumerate(names)]
    for used, per_token in (([0], 0.418), ([1], 0.647), ([0, 1], 0.466)):
        found = score_with(model, lists, [hooks[layer] for layer in used]).per_token
        assert round(found, 3) == per_token
    assert mean[0, 0, 2, :2].tolist() == pytest.approx([0.509, 0.491], abs=6e-4)
    for removal, wrong_share, answers_d1 in (
        ("zero", 0.6225, 0.5365),
        ("renormalise", 0.6755, 0.4175),
    ):
        logits = logits_with(model, lists, knock_out(model, [(1, 4, 3)], removal))
        answer = logits[:, 4].argmax(-1)
        wrong = answer != lists[:, 1]
        assert wrong.double().mean().item() == wrong_share
        share = (answer[wrong] == lists[wrong, 0]).double().mean().item()
        assert share == pytest.approx(answers_d1, abs=6e-5)
