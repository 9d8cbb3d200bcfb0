"""The SAE finds a dictionary that is there, infers as it was trained, and refuses wrong input."""

import math
from dataclasses import replace

import pytest
import torch

from listcomp_utils.config import ConfigError
from listcomp_utils.features.latents import matched_cosines
from listcomp_utils.features.sae import SAE, SAEConfig, SAEError, train_sae

SMALL = SAEConfig(d_sae=60, k=2, steps=2000)


def test_a_superposed_dictionary_is_recovered(trained_sae, planted):
    sae, history = trained_sae
    vectors, directions = planted(2000, 2)
    cosines = matched_cosines(sae.decoder, directions)
    assert (cosines > 0.95).mean() >= 0.9
    random = torch.randn(60, 20, generator=torch.Generator().manual_seed(3))
    assert (matched_cosines(random, directions) > 0.95).mean() == 0
    error = (sae.decode(sae.encode(vectors)) - vectors).square().sum()
    assert error < 0.08 * (vectors - vectors.mean(0)).square().sum()
    assert history.unexplained.iloc[-1] < 0.08 < history.unexplained.iloc[0]
    assert history.step.iloc[[0, 1, -1]].tolist() == [0, 20, 1999]
    torch.testing.assert_close(sae.decoder.norm(dim=1), torch.ones(60))


def test_the_threshold_infers_on_fresh_vectors_as_batches_do_in_training(trained_sae, planted):
    sae, _ = trained_sae
    vectors, _ = planted(2000, 4)
    alone, before = sae.encode(vectors), replace(sae, threshold=0).encode(vectors)
    assert (alone > 0).float().sum(1).mean().item() == pytest.approx(2, abs=0.15)
    largest = before.flatten().topk(2 * len(vectors)).values.min()
    assert ((alone > 0) == (before >= largest)).float().mean() > 0.99
    # One vector's latents do not depend on the others.
    torch.testing.assert_close(sae.encode(vectors[:1]), alone[:1])


def test_dead_latents_are_counted_in_steps_and_helped_by_the_auxiliary_loss(planted):
    vectors, _ = planted(2000, 1)
    # Far too high a learning rate kills latents that are needed.
    rough = SAEConfig(d_sae=60, k=2, steps=400, lr=0.1, warmup=0.0, dead_after=20)
    left = {}
    for coefficient in (0.0, 1 / 32):
        configs = [rough.replace(aux_coefficient=coefficient, seed=seed) for seed in range(3)]
        histories = [train_sae(vectors, config)[1] for config in configs]
        left[coefficient] = sum(history.unexplained.iloc[-1] for history in histories)
        for history in histories:
            assert history.dead.iloc[-1] > 0 and (history.dead[history.step < 20] == 0).all()
    assert left[1 / 32] < left[0.0]


def test_training_repeats_itself_and_leaves_the_global_generator_alone(planted):
    vectors, _ = planted(500, 1)
    config = SMALL.replace(steps=30)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = train_sae(vectors, config)[0]
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(6)
    again, other = train_sae(vectors, config)[0], train_sae(vectors, config.replace(seed=1))[0]
    assert torch.equal(one.decoder, again.decoder) and one.threshold == again.threshold
    assert not torch.equal(one.decoder, other.decoder)


def test_an_sae_does_not_start_from_the_numbers_of_an_equal_seed(planted):
    same = torch.randn(60, 20, generator=torch.Generator().manual_seed(0))
    start = train_sae(planted(500, 1)[0], SMALL.replace(steps=1))[0]
    assert matched_cosines(start.decoder, same).max() < 0.9


def test_scale_and_shift_of_the_vectors_change_nothing(planted):
    vectors, _ = planted(500, 1)
    config = SMALL.replace(steps=100)
    one, other = train_sae(vectors, config)[0], train_sae(vectors * 100 - 7, config)[0]
    found = other.decode(other.encode(vectors * 100 - 7))
    expected = one.decode(one.encode(vectors)) * 100 - 7
    torch.testing.assert_close(expected, found, atol=1, rtol=0)


@pytest.mark.parametrize(
    "setting, message",
    [
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"k": 61}, "k must be at most d_sae 60, got 61"),
        ({"steps": 2.5}, "steps must be a whole number, got 2.5"),
        ({"lr": 0.0}, "lr must be above 0.*, got 0.0"),
        ({"threshold_decay": 1.0}, "threshold_decay must be below 1.*, got 1.0"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_wrong_settings_are_refused_by_name(setting, message):
    with pytest.raises(ConfigError, match=message):
        SMALL.replace(**setting)


@pytest.mark.parametrize(
    "vectors, message",
    [
        ([[1.0]], "got list"),
        (torch.ones(3, 4, dtype=torch.long), "float tensor"),
        (torch.ones(5), "of shape"),
        (torch.full((3, 4), torch.nan), "finite"),
        (torch.ones(3, 4), "must differ"),
        (1e-30 * torch.eye(4), "float32 holds, got a spread of 0.0"),
        (1e100 * torch.eye(4, dtype=torch.double), "float32 holds, got a spread of"),
    ],
)
def test_wrong_vectors_are_refused(vectors, message):
    with pytest.raises(ConfigError, match=message):
        train_sae(vectors, SMALL)


def test_a_training_that_diverges_says_what_to_lower(planted):
    with pytest.raises(RuntimeError, match=r"diverged by step .*; lower lr \(now 1e\+30\)"):
        train_sae(planted(200, 1)[0], SMALL.replace(lr=1e30))


def test_vectors_in_double_precision_are_encoded_and_others_widths_refused(trained_sae, planted):
    (sae, _), (few, _) = trained_sae, planted(5, 1)
    torch.testing.assert_close(sae.encode(few.double()), sae.encode(few))
    with pytest.raises(SAEError, match="width 20, got 3"):
        sae.encode(few[:, :3])


@pytest.mark.parametrize(
    "part, message",
    [
        ({"threshold": math.nan}, "threshold must be a finite number, got nan"),
        ({"threshold": None}, "threshold must be a finite number, got None"),
        ({"threshold": "0.1"}, "threshold must be a finite number, got '0.1'"),
        ({"threshold": True}, "threshold must be a finite number, got True"),
        ({"k": 2.5}, "k must be a whole number from 1 to 3, got 2.5"),
        ({"k": "2"}, "k must be a whole number from 1 to 3, got '2'"),
        ({"k": 0}, "k must be a whole number from 1 to 3, got 0"),
        ({"k": 4}, "k must be a whole number from 1 to 3, got 4"),
        ({"bias": torch.full((2,), torch.nan)}, "weights must be finite"),
        ({"bias": torch.zeros(2, dtype=torch.long)}, "weights must be finite"),
        ({"bias": torch.zeros(3)}, r"bias has shape \(3,\)"),
    ],
)
def test_parts_that_make_no_sae_are_refused(part, message):
    good = SAE(torch.ones(3, 2), torch.zeros(3), torch.eye(3)[:, :2], torch.zeros(2), 0.5, k=2)
    with pytest.raises(SAEError, match=message):
        replace(good, **part)
