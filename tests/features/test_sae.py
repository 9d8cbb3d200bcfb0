"""The SAE finds a dictionary that is there, infers as it was trained, and its files are safe."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.features import sae as sae_module
from listcomp_utils.features.grid import score_sae
from listcomp_utils.features.latents import matched_cosines
from listcomp_utils.features.sae import SAE, SAEConfig, SAEError, train_sae
from listcomp_utils.features.sae_files import load_sae, open_sae, read_released, save_sae
from listcomp_utils.features.separator import separator_of
from listcomp_utils.model import make_model

SMALL = SAEConfig(d_sae=60, k=2, steps=2000)


def planted(count: int, seed: int):
    """`count` sums of 2 of 40 directions in 20 dimensions, with weights from 0.5 to 1.5."""
    directions = normalize(torch.randn(40, 20, generator=torch.Generator().manual_seed(0)), dim=1)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(count, 40, generator=generator).topk(2).indices
    weights = 0.5 + torch.rand(count, 2, generator=generator)
    return torch.einsum("nk,nkd->nd", weights, directions[chosen]) + 3, directions


@pytest.fixture(scope="module")
def trained_sae():
    return train_sae(planted(4000, 1)[0], SMALL)


def test_a_superposed_dictionary_is_recovered(trained_sae):
    sae, history = trained_sae
    vectors, directions = planted(2000, 2)
    cosines = matched_cosines(sae.decoder, directions)
    assert (cosines > 0.95).mean() >= 0.9
    random = torch.randn(60, 20, generator=torch.Generator().manual_seed(3))
    assert (matched_cosines(random, directions) > 0.95).mean() == 0
    error = (sae.reconstruct(vectors) - vectors).square().sum()
    assert error < 0.08 * (vectors - vectors.mean(0)).square().sum()
    assert history.unexplained[-1] < 0.08 < history.unexplained[0]
    torch.testing.assert_close(sae.decoder.norm(dim=1), torch.ones(60))


def test_the_threshold_infers_on_fresh_vectors_as_batches_do_in_training(trained_sae):
    sae, _ = trained_sae
    vectors, _ = planted(2000, 4)
    alone, together = sae.encode(vectors), sae.encode_batch(vectors)
    assert (together > 0).sum() == 2 * len(vectors)
    assert (alone > 0).float().sum(1).mean().item() == pytest.approx(2, abs=0.15)
    assert ((alone > 0) == (together > 0)).float().mean() > 0.99
    # One vector's latents do not depend on the others.
    torch.testing.assert_close(sae.encode(vectors[:1]), alone[:1])


def test_dead_latents_are_counted_in_steps_and_helped_by_the_auxiliary_loss():
    vectors, _ = planted(2000, 1)
    # Far too high a learning rate kills latents that are needed.
    rough = SAEConfig(d_sae=60, k=2, steps=400, lr=0.1, warmup=0.0, dead_after=20)
    left = {}
    for coefficient in (0.0, 1 / 32):
        configs = [replace(rough, aux_coefficient=coefficient, seed=seed) for seed in range(3)]
        histories = [train_sae(vectors, config)[1] for config in configs]
        left[coefficient] = sum(history.unexplained[-1] for history in histories)
        for history in histories:
            assert history.every == 4 and history.dead[-1] > 0
            assert all(dead == 0 for dead in history.dead[:5])
    assert left[1 / 32] < left[0.0]


def test_training_repeats_itself_and_leaves_the_global_generator_alone():
    vectors, _ = planted(500, 1)
    config = replace(SMALL, steps=30)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = train_sae(vectors, config)[0]
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(6)
    again, other = train_sae(vectors, config)[0], train_sae(vectors, replace(config, seed=1))[0]
    assert torch.equal(one.decoder, again.decoder) and one.threshold == again.threshold
    assert not torch.equal(one.decoder, other.decoder)


def test_an_sae_does_not_start_from_the_numbers_of_an_equal_seed():
    same = torch.randn(60, 20, generator=torch.Generator().manual_seed(0))
    start = train_sae(planted(500, 1)[0], replace(SMALL, steps=1))[0]
    assert matched_cosines(start.decoder, same).max() < 0.9


def test_scale_and_shift_of_the_vectors_change_nothing():
    vectors, _ = planted(500, 1)
    config = replace(SMALL, steps=100)
    one, other = train_sae(vectors, config)[0], train_sae(vectors * 100 - 7, config)[0]
    found = other.reconstruct(vectors * 100 - 7)
    torch.testing.assert_close(one.reconstruct(vectors) * 100 - 7, found, atol=1, rtol=0)


@pytest.mark.parametrize(
    "setting, message",
    [
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"k": 61}, "k must be at most d_sae 60, got 61"),
        ({"steps": 2.5}, "steps must be a whole number, got 2.5"),
        ({"lr": 0.0}, "lr must be a finite number above 0"),
        ({"threshold_decay": 1.0}, r"threshold_decay must be in \[0, 1\), got 1.0"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_wrong_settings_are_refused_by_name(setting, message):
    with pytest.raises(ConfigError, match=message):
        replace(SMALL, **setting)


@pytest.mark.parametrize(
    "vectors, message",
    [
        ([[1.0]], "got list"),
        (torch.ones(3, 4, dtype=torch.long), "float tensor"),
        (torch.ones(5), "of shape"),
        (torch.full((3, 4), torch.nan), "finite"),
        (torch.ones(3, 4), "must differ"),
    ],
)
def test_wrong_vectors_are_refused(vectors, message):
    with pytest.raises(ConfigError, match=message):
        train_sae(vectors, SMALL)


def test_files_give_the_same_sae_back(trained_sae, tmp_path):
    sae, _ = trained_sae
    path = save_sae(sae, tmp_path / "new" / "sae.safetensors")
    back = load_sae(path)
    vectors, _ = planted(50, 5)
    assert torch.equal(back.reconstruct(vectors), sae.reconstruct(vectors))
    assert back.config == sae.config == SMALL and back.k == 2
    assert [p.name for p in path.parent.iterdir()] == ["sae.safetensors"]


def test_released_files_are_read(trained_sae, tmp_path):
    sae, _ = trained_sae
    mean = torch.linspace(-1, 1, 20)
    state = {
        "encoder.weight": sae.encoder,
        "encoder.bias": sae.encoder_bias,
        "decoder.weight": sae.decoder.T.contiguous(),
        "b_dec": sae.bias - mean,
        "threshold": torch.tensor(sae.threshold),
        "k": torch.tensor(2),
    }
    path = tmp_path / "released.pt"
    torch.save({"state_dict": state, "cfg": {"k": 2}, "act_mean": mean}, path)
    vectors, _ = planted(50, 5)
    released = read_released(path)
    torch.testing.assert_close(released.reconstruct(vectors), sae.reconstruct(vectors))
    assert released.k == 2 and released.config is None
    del state["b_dec"]
    torch.save({"state_dict": state}, path)
    with pytest.raises(SAEError, match="released.pt is not a released SAE: KeyError\\('b_dec'\\)"):
        read_released(path)
    state["b_dec"], state["encoder.bias"] = mean, torch.zeros(3)
    torch.save({"state_dict": state}, path)
    with pytest.raises(SAEError, match="encoder_bias has shape"):
        read_released(path)


class Malicious:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


def test_released_files_are_opened_and_scored(tmp_path):
    separator = separator_of(make_model(Config.preset("study", n_digits=6, d_model=12)))
    sae, _ = train_sae(separator.vectors, SAEConfig(d_sae=16, k=3, steps=200))
    state = {
        "encoder.weight": sae.encoder,
        "encoder.bias": sae.encoder_bias,
        "decoder.weight": sae.decoder.T,
        "b_dec": sae.bias,
        "threshold": torch.tensor(sae.threshold),
        "k": torch.tensor(3),
    }
    torch.save({"state_dict": state, "cfg": {"k": 3}}, tmp_path / "released.pt")
    opened = open_sae(tmp_path / "released.pt", 12)
    row = score_sae(separator, opened)
    own = score_sae(separator, open_sae(save_sae(sae, tmp_path / "own.safetensors"), 12))
    assert (row.seed, row.steps, own.steps) == (-1, 0, 200)
    assert row.explained == pytest.approx(own.explained) and row.l0 == own.l0
    with pytest.raises(
        ConfigError, match="sae_file released.pt is for vectors of width 12, not 64"
    ):
        open_sae(tmp_path / "released.pt", 64)
    with pytest.raises(ConfigError, match="sae_file: there is no file at .*absent.pt"):
        open_sae(tmp_path / "absent.pt", 64)
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ConfigError, match="sae_file: text.pt is damaged"):
        open_sae(tmp_path / "text.pt", 64)


def test_five_lines_are_enough_for_any_activations(tmp_path, monkeypatch):
    lines = sae_module.__doc__.split("\n\n")[1].splitlines()
    assert len(lines) == 5
    vectors = planted(300, 1)[0]
    names = {"vectors": vectors}
    monkeypatch.chdir(tmp_path)
    exec("\n".join(lines).replace("k=3", "k=3, steps=60"), names)
    assert names["reconstruction"].shape == vectors.shape
    assert names["latents"].shape == (300, 128) and (names["latents"] > 0).any()
    assert torch.equal(load_sae("sae.safetensors").encode(vectors), names["latents"])


def test_files_that_are_damaged_or_hold_code_are_refused(trained_sae, tmp_path):
    torch.save({"state_dict": Malicious(tmp_path / "mark")}, tmp_path / "code.pt")
    with pytest.raises(SAEError, match="code.pt is damaged or not plain weights"):
        read_released(tmp_path / "code.pt")
    assert not (tmp_path / "mark").exists()
    with pytest.raises(SAEError, match="missing.pt"):
        read_released(tmp_path / "missing.pt")
    path = save_sae(trained_sae[0], tmp_path / "sae.safetensors")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(SAEError, match="sae.safetensors cannot be read as an SAE"):
        load_sae(path)
    with pytest.raises(SAEError, match="finite"):
        SAE(*(torch.full(s, torch.nan) for s in ((2, 3), (2,), (2, 3), (3,))), threshold=0, k=1)
