"""The start "ranks": what it puts where, what it copies, and what it is refused for."""

import pytest
import torch

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.generation import accuracy
from listcomp_utils.model import make_model, make_native_model
from listcomp_utils.start import PARTS, Coarseness, coarseness, put_ranks, ranks_of
from listcomp_utils.training.loop import train


def test_places_are_even_and_in_an_order_of_the_seed():
    config = Config.preset("ranked", n_digits=11)
    places = ranks_of(config)
    torch.testing.assert_close(places.sort().values, torch.linspace(-1, 1, 11))
    assert not torch.equal(places, ranks_of(config.replace(seed=1)))
    assert torch.equal(places, ranks_of(config))


def test_constants_follow_from_the_number_of_digits():
    of_30, of_60 = (coarseness(Config.preset("ranked", n_digits=n)) for n in (30, 60))
    assert of_60.score == of_30.score / 2
    assert of_60.lever == 2 * of_30.lever
    assert of_60.logit == 4 * of_30.logit


@pytest.mark.parametrize("list_len", [2, 3])
def test_the_code_copies_once_its_constants_are_fine_and_its_noise_is_gone(list_len):
    config = Config.preset("ranked", n_digits=12, list_len=list_len)
    model = make_native_model(config.replace(start="random"))
    with torch.no_grad():
        model.head.weight.zero_()
    put_ranks(model, config, size=Coarseness(0.005, 200.0, 3e4), noise=0.0)
    assert accuracy(model).per_list > 0.99
    assert accuracy(make_model(config)).per_list < 0.9


def test_parts_are_added_one_by_one():
    config = Config.preset("ranked", n_digits=12)

    def weights(parts):
        model = make_native_model(config.replace(start="random"))
        put_ranks(model, config, parts)
        return torch.cat([weight.flatten() for weight in model.parameters()])

    nothing = weights([])
    every = sum(weights([part]) - nothing for part in PARTS)
    torch.testing.assert_close(every, weights(PARTS) - nothing, rtol=1e-4, atol=1e-3)
    assert all((weights([part]) != nothing).any() for part in PARTS)


def test_a_short_training_from_it_copies_lists_never_seen():
    config = Config.preset("ranked", n_digits=12, steps=400, eval_every=400, lr=1e-3)
    result = train(config, progress="none")
    random = train(config.replace(start="random"), progress="none")
    assert result.history.best.held_out.per_list > 0.9
    assert random.history.best.held_out.per_list < 0.5


@pytest.mark.parametrize(
    "changes, said",
    [
        (dict(n_layers=3), "start 'ranks' needs n_layers=2, got n_layers=3"),
        (dict(layer_norm=True), "layer_norm=False"),
        (dict(decoding="autoregressive"), "decoding=masked"),
        (dict(d_model=5, list_len=3), "d_model of at least list_len \\+ 3 = 6, got d_model 5"),
        (dict(start="rank"), "start must be one of"),
    ],
)
def test_other_architectures_are_refused_by_name(changes, said):
    with pytest.raises(ConfigError, match=said):
        Config.preset("ranked", **changes)
