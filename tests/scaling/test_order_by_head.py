"""The order mechanism by head and kind of positions, and what is impossible without places."""

import pytest
import torch
import torch.nn.functional as F

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.generation import accuracy, generate
from listcomp_utils.model import make_model, make_native_model
from listcomp_utils.scaling.order_by_head import (
    both_orders_untrained,
    fair_share,
    order_figures,
)
from listcomp_utils.task import all_lists, input_tokens
from listcomp_utils.training.loop import train


def study(**changes):
    return Config.preset("study", device="cpu", **{"n_digits": 5, "d_model": 8, **changes})


@pytest.mark.parametrize("positions", ["rotary", "none"])
@pytest.mark.parametrize("flags", [dict(), dict(learn_w_v=True, learn_w_o=True, bias=True)])
def test_without_places_at_most_one_order_of_a_pair_is_right(positions, flags):
    # Trained on one order of each pair, which can be learned: the other must then be lost.
    config = study(n_digits=8, d_model=32, embed_scale=1, positions=positions, **flags)
    model = make_native_model(config)
    lists = all_lists(config)
    rising = lists[lists[:, 0] < lists[:, 1]]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer, tokens = torch.optim.AdamW(weights, lr=1e-2), input_tokens(config, rising)
    for _ in range(300):
        optimizer.zero_grad()
        logits = model(tokens)[:, config.prediction_positions]
        F.cross_entropy(logits.flatten(0, 1), rising.flatten()).backward()
        optimizer.step()
    right = (generate(model, rising) == rising).all(1)
    turned = (generate(model, rising.flip(1)) == rising.flip(1)).all(1)
    assert right.double().mean() > 0.2, "it has learned, so that the rule is put to the test"
    assert not (right & turned).any()
    score = accuracy(model)
    assert score.per_token <= fair_share(8)[0] and score.per_list <= fair_share(8)[1]


def test_untrained_models_without_places_are_no_exception():
    assert both_orders_untrained(study()) == 0


def test_with_learned_positions_both_orders_can_be_right_and_positions_carry_it():
    training = dict(train_fraction=1.0, steps=1500, warmup_steps=500, batch_size=128)
    config = study(n_digits=20, d_model=64, **training)
    figures = order_figures(train(config, progress="none").model)
    assert figures["both_right"] > 0.5 and figures["alignment"] > 0.8
    assert figures["position_weights_reverse"] > 0.5 > figures["content_weights_reverse"]


def test_without_learned_positions_there_is_no_alignment():
    assert order_figures(make_model(study(positions="none")))["alignment"] is None


@pytest.mark.parametrize("changes", [dict(layer_norm=True), dict(n_layers=1), dict(list_len=3)])
def test_other_architectures_are_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        order_figures(make_model(study(**changes)))
