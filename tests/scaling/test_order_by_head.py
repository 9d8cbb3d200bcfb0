"""The order mechanism by head and kind of positions, and what is impossible without places."""

import pytest

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.generation import accuracy
from listcomp_utils.model import make_model
from listcomp_utils.scaling.order_by_head import (
    fair_share,
    one_and_both_right,
    one_order_learned,
    order_figures,
    train_on_one_order,
)
from listcomp_utils.training.loop import train


def study(**changes):
    return Config.preset("study", device="cpu", **{"n_digits": 5, "d_model": 8, **changes})


@pytest.mark.parametrize("positions", ["rotary", "none"])
@pytest.mark.parametrize("flags", [dict(), dict(learn_w_v=True, learn_w_o=True, bias=True)])
def test_without_places_at_most_one_order_of_a_pair_is_right(positions, flags):
    # Trained on one order of each pair, which can be learned: the other must then be lost.
    config = study(n_digits=8, d_model=32, embed_scale=1, positions=positions, **flags)
    model = train_on_one_order(config)
    one, both = one_and_both_right(model)
    assert one > 0.2, "it has learned, so that the rule is put to the test"
    assert both == 0
    score = accuracy(model)
    assert score.per_token <= fair_share(8)[0] and score.per_list <= fair_share(8)[1]


def test_one_order_can_be_learned_without_places_and_then_not_both():
    one, both = one_order_learned(study(n_digits=12, d_model=16))
    assert one > 0.2 and both == 0


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
