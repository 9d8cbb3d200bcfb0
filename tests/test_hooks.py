"""Hooks: an identity edit changes nothing at all, a real one does what it says."""

import pytest
import torch

from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy
from listcomp_utils.hooks import (
    logits_with,
    reorder_lists,
    replace,
    replace_at,
    replace_head,
    residual_name,
    score_with,
)
from listcomp_utils.model import make_model
from listcomp_utils.task import ListError, all_lists

PATTERN = "blocks.1.attn.hook_pattern"


def test_identity_edits_change_nothing_and_real_ones_do(case):
    model, lists, seen = case
    everyone, before = torch.arange(len(lists)), logits_with(model, lists)
    values = seen.values[:, 0, :, 0]
    for name, identity, real in (
        (PATTERN, replace(seen.patterns[:, 1]), replace(seen.patterns[:, 1].mean(0))),
        (PATTERN, reorder_lists(everyone), reorder_lists(everyone.flip(0))),
        (residual_name(model.listcomp_config, 1), replace_at([], 0.0), replace_at([2], 0.0)),
        ("blocks.0.attn.hook_v", replace_head(0, values), replace_head(0, 0.0)),
    ):
        assert torch.equal(logits_with(model, lists, [(name, identity)]), before)
        assert (logits_with(model, lists, [(name, real)]) - before).abs().max() > 1e-4
    assert torch.equal(logits_with(model, lists), before), "edits do not reach the model itself"


def test_teacher_forced_lists_are_greedy_lists():
    model = make_model(Config(n_digits=3, list_len=2))
    lists = all_lists(Config(n_digits=3, list_len=2))
    forced, greedy = score_with(model, lists), accuracy(model, lists)
    assert (forced.n_lists, forced.per_list) == (9, greedy.per_list)
    assert list(forced.columns()) == ["loss", "per_token", "per_list", "o1", "o2"]


def test_no_lists_are_refused(trained):
    with pytest.raises(ListError, match="at least one list"):
        score_with(trained.model, torch.zeros(0, 2).long())
