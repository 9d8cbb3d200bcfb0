"""The model: mask installed, weights frozen, seeds respected, other weights refused."""

import itertools

import pytest
import torch

from listcomp_utils.attention import score_terms, scores
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.hooks import logits_with, run_all
from listcomp_utils.mask import build_mask
from listcomp_utils.model import (
    add_hooks,
    config_of,
    make_model,
    make_native_model,
    parameter_table,
    resolve_device,
)
from listcomp_utils.task import input_tokens, sample_lists

FLAGS = ["layer_norm", "bias", "learn_w_v", "learn_w_o"]


def small(**changes):
    return Config.preset("study", n_digits=4, list_len=3, d_model=16, **changes)


@pytest.mark.parametrize("decoding", ["autoregressive", "masked"])
@pytest.mark.parametrize("positions", ["learned", "rotary", "none"])
def test_patterns_follow_the_mask_and_the_terms_of_their_scores(decoding, positions):
    config = Config(decoding=decoding, positions=positions, list_len=3, n_heads=2, n_layers=3)
    model = make_model(config)
    seen = run_all(model, sample_lists(config, 50, 0))
    assert seen.patterns.shape == (50, 3, 2, 7, 7)
    allowed = build_mask(config)
    patterns = seen.patterns.transpose(1, 2)
    assert (patterns[..., ~allowed] == 0).all() and (patterns[..., allowed] > 0).all()
    torch.testing.assert_close(patterns.sum(-1), allowed.any(-1).float().expand(50, 2, 3, 7))
    terms = score_terms(model, seen, layer=1)
    torch.testing.assert_close(sum(terms.values()), scores(model, seen)[:, 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("values", itertools.product([False, True], repeat=4))
def test_every_flag_works_with_every_other(values):
    config = Config(**dict(zip(FLAGS, values, strict=True)), n_heads=2, list_len=1, n_layers=1)
    model = make_native_model(config)
    logits = model(input_tokens(config, sample_lists(config, 4, 0)))
    logits.sum().backward()
    attention = model.layers[0].attn
    assert (attention.v.weight.grad is not None) == config.learn_w_v
    assert (attention.o.weight.grad is not None) == config.learn_w_o
    assert (attention.q.bias.grad is not None) == config.bias
    assert torch.isfinite(model.tok_embed.weight.grad).all()


def test_frozen_weights_are_the_identity_and_say_so():
    table = parameter_table(make_model(Config.preset("study")))
    rows = {row.weight: row for row in table.itertuples()}
    assert not rows["blocks.0.attn.v.weight"].trained
    assert rows["blocks.1.attn.o.weight"].note == "frozen: identity"
    assert rows["unembed.bias"].note == "frozen: zero"
    assert table[table.trained].numbers.sum() == 29_760, "the study's own count"
    deeper = parameter_table(make_model(Config.preset("study", n_layers=3)))
    assert deeper[deeper.trained].numbers.sum() == 37_952
    model = make_model(Config.preset("study"))
    assert torch.equal(model.blocks[0].attn.v.weight, torch.eye(64))


def test_the_seed_decides_the_weights_and_nothing_else_moves():
    before = torch.get_rng_state()
    one, same, other = (make_model(Config(seed=seed)).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["embed.weight"], other["embed.weight"])


@pytest.mark.parametrize("preset", ["seed", "study"])
def test_hooks_change_no_logit(preset):
    config = Config.preset(preset)
    tokens = input_tokens(config, sample_lists(config, 20, 0))
    plain = make_native_model(config)
    expected = plain(tokens)
    torch.testing.assert_close(add_hooks(plain)(tokens), expected, rtol=0, atol=2e-6)


def test_a_model_from_elsewhere_is_refused():
    with pytest.raises(TypeError, match="make_model, train or load_model"):
        config_of(torch.nn.Linear(2, 2))


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
def test_absent_cuda_is_named():
    with pytest.raises(ConfigError, match="device 'cuda' is not available"):
        resolve_device("cuda")
    with pytest.raises(ConfigError, match="device 'cuda' is not available"):
        make_model(Config(device="cuda"))


def test_the_embeddings_initial_size_is_a_setting_and_nothing_else_moves():
    plain = make_model(Config.preset("study", n_digits=5, embed_scale=1)).state_dict()
    scaled = make_model(Config.preset("study", n_digits=5, embed_scale=3)).state_dict()
    for name, weight in plain.items():
        factor = 3 if name in ("embed.weight", "pos_embed.weight") else 1
        assert torch.equal(scaled[name], weight * factor), name


def test_rotary_positions_add_nothing_and_scores_depend_on_the_distance_alone():
    config = small(positions="rotary")
    model = make_model(config)
    assert "pos_embed.weight" not in model.state_dict()
    table = scores(model, run_all(model, torch.tensor([[2, 2, 2]])))[0, 0, 0]
    digits, outputs = config.digit_positions, config.output_positions
    for queries, keys in ((digits, digits), (outputs, digits), (outputs, outputs)):
        for query, key in itertools.product(list(queries)[1:], list(keys)[1:]):
            torch.testing.assert_close(table[query, key], table[query - 1, key - 1])
    far = abs(table[outputs[0], 0] - table[outputs[0], 2])
    assert far > 1e-3, "another distance, another score"


def test_without_positions_two_layers_see_no_order_and_three_see_it_through_the_mask():
    lists = torch.tensor([[0, 1, 2], [2, 0, 1], [1, 0, 2]])
    for n_layers in (2, 3):
        config = small(positions="none", n_layers=n_layers)
        model = make_model(config)
        logits = logits_with(model, lists)[:, config.prediction_positions]
        apart = (logits - logits[:1]).abs().max()
        # d1 may read itself and d2 may read d1: from layer 1 on the digits differ by their place,
        # and an output reads what SEP held one layer earlier.
        assert (apart < 1e-4) if n_layers == 2 else (apart > 1e-2)
        assert not model.pos_embed.weight.any() and not model.pos_embed.weight.requires_grad
        assert "frozen: zero" in list(parameter_table(model)["note"])


def test_no_positions_are_learned_ones_at_zero():
    plain = make_model(Config.preset("study", n_digits=5)).state_dict()
    blind = make_model(Config.preset("study", n_digits=5, positions="none")).state_dict()
    assert plain.keys() == blind.keys()
    for name, weight in plain.items():
        assert torch.equal(blind[name], weight) or name == "pos_embed.weight", name
