"""The closed form against the model it stands for."""

import pytest
import torch

from listcomp_utils.circuit.formula import (
    Circuit,
    Weights,
    edge_costs,
    logits,
    run,
    weights_of,
    without_edge,
)
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.generation import loss
from listcomp_utils.hooks import logits_with, replace, run_all
from listcomp_utils.mask import build_mask, edges
from listcomp_utils.model import add_hooks, config_of, make_native_model
from listcomp_utils.task import all_lists, input_tokens, sample_lists, target_tokens


def small(**changes) -> Config:
    return Config.preset("study", **{"n_digits": 5, "d_model": 12, **changes})


def random_model(config: Config, scale: float = 3.0):
    """A float64 model with weights large enough for attention that is far from even."""
    native = make_native_model(config).double()
    with torch.no_grad():
        for weight in native.parameters():
            if weight.requires_grad:
                weight.mul_(scale)
    return add_hooks(native)


@pytest.mark.parametrize("decoding", ["masked", "autoregressive"])
@pytest.mark.parametrize(("list_len", "n_layers"), [(1, 2), (2, 2), (3, 2), (4, 2), (2, 1), (3, 4)])
def test_equal_to_a_random_model(list_len, n_layers, decoding):
    config = small(list_len=list_len, n_layers=n_layers, decoding=decoding)
    model, lists = random_model(config), all_lists(config)
    with torch.no_grad():
        expected, cache = model.run_with_cache(input_tokens(config, lists))
    weights = weights_of(model)
    circuit = run(weights, lists)
    assert (logits(weights, circuit) - expected).abs().max() < 1e-10
    for layer in range(n_layers):
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"][:, 0]
        assert (circuit.patterns[:, layer] - pattern).abs().max() < 1e-10
        mixtures = circuit.mixtures[:, layer + 1]
        held = mixtures @ (weights.token[circuit.tokens] + weights.position)
        assert (held - cache[f"blocks.{layer}.hook_resid_post"]).abs().max() < 1e-10
    assert circuit.patterns[:, 0].std(0).max() > 0.05 or list_len == 1


def test_the_weights_are_the_same_with_hooks_and_without():
    native = make_native_model(small(list_len=3))
    before = weights_of(native, torch.float64)
    after = weights_of(add_hooks(native), torch.float64)
    for name in ("token", "position", "unembed", "query_key"):
        assert torch.equal(getattr(before, name), getattr(after, name))


@pytest.mark.parametrize("decoding", ["masked", "autoregressive"])
@pytest.mark.parametrize("renormalise", [False, True])
def test_a_removed_edge_is_removed_from_the_model(decoding, renormalise):
    config = small(n_layers=3, decoding=decoding)
    model, lists = random_model(config), all_lists(config)
    weights = weights_of(model)
    whole = logits(weights, run(weights, lists))
    right = []
    for edge in edges(build_mask(config)):
        layer, query, key = edge

        def remove(pattern, hook, query=query, key=key):
            pattern = pattern.clone()
            pattern[..., query, key] = 0
            left = pattern[..., query, :].sum(-1, keepdim=True)
            if renormalise:
                pattern[..., query, :] /= left.masked_fill(left == 0, 1)
            return pattern

        expected = logits_with(model, lists, [(f"blocks.{layer}.attn.hook_pattern", remove)])
        found = run(weights, lists, without_edge(edge, renormalise))
        assert (logits(weights, found) - expected).abs().max() < 1e-10
        assert found.patterns[:, layer, query, key].eq(0).all()
        outputs = expected[:, config.prediction_positions].argmax(-1)
        right.append((outputs == lists).double().mean().item())
    costs = edge_costs(weights, lists, renormalise)
    start = (whole[:, config.prediction_positions].argmax(-1) == lists).double().mean().item()
    assert list(costs) == edges(build_mask(config)) and any(costs.values())
    assert list(costs.values()) == pytest.approx([start - share for share in right], abs=1e-12)


def test_an_edit_is_seen_by_later_layers():
    config = small(n_layers=3)
    model, lists = random_model(config), all_lists(config)
    weights = weights_of(model)
    mean = run_all(model, lists).patterns.mean(0)[0, 0]
    expected = logits_with(model, lists, [("blocks.0.attn.hook_pattern", replace(mean))])
    found = run(weights, lists, lambda layer, x: mean.expand_as(x) if layer == 0 else x)
    assert (logits(weights, found) - expected).abs().max() < 1e-10
    assert found.patterns[:, 1].std(0).max() > 1e-3


def test_nearer_to_the_truth_than_the_shipped_model_in_float32(study, study_model):
    exact, model, config = study, study_model, study.config
    lists, places = all_lists(config), config.prediction_positions
    truth = logits(exact, run(exact, lists), places)
    with torch.no_grad():
        model_logits = model(input_tokens(config, lists))[:, places]
    weights = weights_of(model)
    computed = logits(weights, run(weights, lists), places)
    error, model_error = ((values - truth).abs().max() for values in (computed, model_logits))
    # Logits reach 500, so that float32 itself moves the model's by about 3e-4.
    largest = model_logits.abs().max()
    assert error < 5e-7 * largest and error < model_error < 1e-6 * largest


def test_equal_to_the_released_model_in_float32(released):
    config, weights = config_of(released), weights_of(released)
    lists = all_lists(config)
    with torch.no_grad():
        expected = released(input_tokens(config, lists))[:, config.prediction_positions]
    computed = logits(weights, run(weights, lists), config.prediction_positions)
    assert (computed - expected).abs().max() < 1e-4


def test_gradients_are_the_models():
    config = small(list_len=3)
    native = make_native_model(config).double()
    lists = sample_lists(config, 20, seed=0)
    tokens, targets = input_tokens(config, lists), target_tokens(config, lists)
    loss(native(tokens), targets).backward()
    native_gradients = {name: weight.grad for name, weight in native.named_parameters()}
    model = add_hooks(native)
    parts = [model.W_E, model.W_pos, model.W_U]
    parts = [part.detach().clone().requires_grad_() for part in parts]
    w_q, w_k = (
        [getattr(block.attn, name)[0].detach().clone().requires_grad_() for block in model.blocks]
        for name in ("W_Q", "W_K")
    )
    query_key = torch.stack([q @ k.T for q, k in zip(w_q, w_k, strict=True)])
    weights = Weights(config, *parts, query_key / config.d_head**0.5)
    loss(logits(weights, run(weights, lists)), targets).backward()
    for ours, name in (
        (parts[0].grad, "tok_embed"),
        (parts[1].grad, "pos"),
        (parts[2].grad.T, "head"),
        (w_q[0].grad.T, "layers.0.attn.q"),
        (w_k[1].grad.T, "layers.1.attn.k"),
    ):
        theirs = native_gradients[f"{name}.weight"]
        assert (ours - theirs).abs().max() < 1e-12 and theirs.abs().max() > 0, name


def test_many_models_at_once():
    config = small()
    lists = all_lists(config)
    members = [weights_of(random_model(config.replace(seed=seed))) for seed in range(3)]
    names = ("token", "position", "unembed", "query_key")
    stacked = [torch.stack([getattr(member, name) for member in members]) for name in names]

    def compute(*parts):
        weights = Weights(config, *parts)
        return logits(weights, run(weights, lists))

    together = torch.func.vmap(compute)(*stacked)
    for number, member in enumerate(members):
        alone = logits(member, run(member, lists))
        assert (together[number] - alone).abs().max() < 1e-10


@pytest.mark.parametrize("field", ["layer_norm", "bias", "learn_w_v", "learn_w_o", "n_heads"])
def test_other_architectures_are_refused_by_name(field):
    needed, value = (1, 2) if field == "n_heads" else (False, True)
    model = add_hooks(make_native_model(small(**{field: value})))
    with pytest.raises(ConfigError, match=f"{field}={needed}, got {field}={value}"):
        weights_of(model)


def test_circuit_is_in_the_type_of_the_weights():
    config = small()
    weights = weights_of(add_hooks(make_native_model(config)))
    circuit = run(weights, all_lists(config))
    assert isinstance(circuit, Circuit) and circuit.mixtures.dtype == torch.float32
    assert weights_of(add_hooks(make_native_model(config)), torch.float64).token.dtype is (
        torch.float64
    )
