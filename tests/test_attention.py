"""Attention analyses: parts add up to the whole, on random weights too."""

import pytest
import torch

from listcomp_utils.attention import (
    logit_attribution,
    logit_lens,
    right_so_far,
    score_terms,
    scores,
)
from listcomp_utils.config import Config
from listcomp_utils.hooks import residual_name, run_all
from listcomp_utils.mask import build_mask
from listcomp_utils.model import make_model
from listcomp_utils.task import lists_to_score

CONFIGS = {
    "seed": Config.preset("seed"),
    "study": Config.preset("study", n_digits=12),
    "deep, two heads": Config(list_len=3, n_heads=2, n_layers=3, n_digits=5),
    "all learned": Config.preset(
        "study", n_digits=9, bias=True, learn_w_v=True, learn_w_o=True, n_heads=2
    ),
}


@pytest.fixture(params=CONFIGS, ids=list(CONFIGS))
def case(request):
    """A model with random weights everywhere, biases and LayerNorm gains too, on some lists."""
    config = CONFIGS[request.param]
    model = make_model(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return config, model, run_all(model, lists_to_score(config, most=60))


def test_scores_give_the_patterns(case):
    config, model, seen = case
    blocked = ~build_mask(config)[None, :, None]
    pattern = scores(model, seen).masked_fill(blocked, -torch.inf).softmax(-1).nan_to_num(0)
    torch.testing.assert_close(pattern, seen.patterns, rtol=0, atol=1e-6)


def test_score_terms_add_up_in_every_layer(case):
    config, model, seen = case
    for layer in range(config.n_layers):
        terms = score_terms(model, seen, layer)
        assert len(terms) == (layer + 3) ** 2
        total = sum(terms.values())
        torch.testing.assert_close(total, scores(model, seen)[:, layer], rtol=0, atol=2e-5)


def test_contributions_are_the_residual_stream(case):
    config, model, seen = case
    _, cache = model.run_with_cache(seen.tokens)
    names = [residual_name(config, level) for level in range(config.n_layers + 1)]
    assert len(set(names)) == len(names)
    for level, name in enumerate(names):
        torch.testing.assert_close(seen.residuals[:, level], cache[name], rtol=0, atol=1e-5)


def test_logit_lens_ends_in_the_logits(case):
    config, model, seen = case
    lens = logit_lens(model, seen)
    assert lens.shape == (len(seen.tokens), config.n_layers + 1, config.seq_len, config.d_vocab)
    torch.testing.assert_close(lens[:, -1], seen.logits, rtol=0, atol=1e-4)


def test_circles_hold_an_answer_once_it_is_read(study_model):
    *_, levels = zip(*right_so_far(study_model, torch.tensor([[60, 44]])), strict=True)
    # The last position is o2, which must predict d2, and can after the last layer only.
    assert levels == ("", "", "44")


def test_attribution_adds_up_to_the_logits(case):
    config, model, seen = case
    names, parts = logit_attribution(model, seen)
    assert parts.shape == (len(seen.tokens), len(names), config.list_len)
    logits = seen.logits[:, config.prediction_positions]
    right = logits.gather(-1, seen.tokens[:, : config.list_len, None])[..., 0]
    expected = right - logits[..., : config.n_digits].mean(-1)
    torch.testing.assert_close(parts.sum(1), expected, rtol=0, atol=1e-4)


def test_chunks_change_nothing():
    config = CONFIGS["seed"]
    model, lists = make_model(config), lists_to_score(config, most=100)
    whole, pieces = run_all(model, lists), run_all(model, lists, chunk=7)
    torch.testing.assert_close(whole.contributions, pieces.contributions, rtol=0, atol=1e-6)
