"""Copies and their scores."""

import pytest
import torch

from listcomp_utils.config import Config
from listcomp_utils.generation import accuracy, generate, loss, mean_loss, score
from listcomp_utils.model import make_model
from listcomp_utils.task import ListError, all_lists, input_tokens, sample_lists, target_tokens


@pytest.mark.parametrize("decoding", ["autoregressive", "masked"])
def test_chunks_change_nothing(decoding, monkeypatch):
    model = make_model(Config(decoding=decoding, list_len=3, n_digits=4))
    lists = all_lists(Config(list_len=3, n_digits=4))
    whole, mean = generate(model, lists), mean_loss(model)
    assert whole.shape == lists.shape
    monkeypatch.setattr("listcomp_utils.generation.CHUNK", 7)
    assert torch.equal(whole, generate(model, lists))
    assert mean_loss(model, lists) == pytest.approx(mean, abs=1e-5)


def test_autoregressive_copies_are_made_one_token_at_a_time():
    config = Config(list_len=3)
    model = make_model(config)
    lists = sample_lists(config, 5, 0)
    tokens = input_tokens(config, lists)[:, : config.list_len + 1]
    for _ in range(config.list_len):
        tokens = torch.cat([tokens, model(tokens)[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(generate(model, lists), tokens[:, config.list_len + 1 :])


def test_scores_tell_tokens_from_lists():
    lists = torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]])
    written = torch.tensor([[1, 2], [3, 0], [5, 0], [0, 0]])
    result = score(written, lists)
    assert result.per_position == (0.75, 0.25)
    assert (result.per_token, result.per_list, result.n_lists) == (0.5, 0.25, 4)


def test_a_trained_model_copies_what_it_is_given(trained):
    assert generate(trained.model, [[8, 3], [3, 8]]).tolist() == [[8, 3], [3, 8]]
    assert accuracy(trained.model).per_list == 1.0


def test_loss_is_over_the_scored_positions_only():
    config = Config.preset("study")
    lists = sample_lists(config, 10, 0)
    logits = make_model(config)(input_tokens(config, lists))
    by_hand = torch.stack(
        [-logits.log_softmax(-1)[:, 3 + place].gather(1, lists[:, [place]]) for place in (0, 1)]
    ).mean()
    torch.testing.assert_close(loss(logits, target_tokens(config, lists)), by_hand)


def test_bad_lists_are_refused_before_the_model_runs():
    model = make_model(Config.preset("seed"))
    for lists in ([[10, 0]], [[1, 2, 3]], [[-1, 0]]):
        with pytest.raises(ListError):
            generate(model, lists)
    with pytest.raises(ListError, match="at least one list"):
        accuracy(model, torch.empty(0, 2, dtype=torch.long))
    with pytest.raises(ListError, match="too many"):
        accuracy(make_model(Config(list_len=7)))
    assert generate(model, torch.empty(0, 2, dtype=torch.long)).shape == (0, 2)
