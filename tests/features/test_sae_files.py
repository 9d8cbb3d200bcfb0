"""Files of SAEs give the same SAE back; what is damaged, wrong or holds code is refused."""

import json
import os

import pytest
import safetensors.torch
import torch

from listcomp_utils.config import ConfigError
from listcomp_utils.features import sae as sae_module
from listcomp_utils.features.sae import SAEConfig, SAEError
from listcomp_utils.features.sae_files import (
    FORMAT,
    load_or_train_sae,
    load_sae,
    open_sae,
    read_released,
    save_sae,
)
from listcomp_utils.features.separator import separator_of
from listcomp_utils.model import make_model


def test_files_give_the_same_sae_back(trained_sae, tmp_path, planted):
    sae, _ = trained_sae
    path = save_sae(sae, tmp_path / "new" / "sae.safetensors")
    back = open_sae(path, 20)
    vectors, _ = planted(50, 5)
    assert torch.equal(back.encode(vectors), sae.encode(vectors))
    assert torch.equal(back.decode(back.encode(vectors)), sae.decode(sae.encode(vectors)))
    assert back.config == sae.config and back.k == 2
    assert [p.name for p in path.parent.iterdir()] == ["sae.safetensors"]


def test_a_save_that_fails_leaves_the_old_file_whole(trained_sae, tmp_path, monkeypatch):
    path = save_sae(trained_sae[0], tmp_path / "sae.safetensors")
    before = path.read_bytes()

    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        save_sae(trained_sae[0], path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "scalars, message",
    [
        ({"threshold": float("nan")}, "threshold must be a finite number, got nan"),
        ({"threshold": None}, "threshold must be a finite number, got None"),
        ({"threshold": "high"}, "threshold must be a finite number, got 'high'"),
        ({"k": 1.5}, "k must be a whole number from 1 to 60, got 1.5"),
        ({"k": None}, "k must be a whole number from 1 to 60, got None"),
        ({"config": {"d_sae": 60}}, "k"),
    ],
)
def test_files_with_wrong_scalars_are_refused(trained_sae, tmp_path, scalars, message):
    sae, path = trained_sae[0], tmp_path / "sae.safetensors"
    weights = {name: getattr(sae, name).contiguous() for name in sae_module.WEIGHTS}
    given = {"threshold": sae.threshold, "k": 2, "config": None, **scalars}
    metadata = {"format": FORMAT, "scalars": json.dumps(given)}
    path.write_bytes(safetensors.torch.save(weights, metadata))
    with pytest.raises(SAEError, match=f"sae.safetensors cannot be read as an SAE: .*{message}"):
        load_sae(path)


def released_state(sae):
    """The weights of an SAE under the names of the study's follow-up."""
    return {
        "encoder.weight": sae.encoder,
        "encoder.bias": sae.encoder_bias,
        "decoder.weight": sae.decoder.T.contiguous(),
        "b_dec": sae.bias,
        "threshold": torch.tensor(sae.threshold),
        "k": torch.tensor(sae.k),
    }


def test_a_name_that_could_not_be_read_back_is_refused(trained_sae, tmp_path):
    with pytest.raises(ConfigError, match="must end in .safetensors"):
        save_sae(trained_sae, tmp_path / "sae.pt")
    assert not any(tmp_path.iterdir())


def test_released_files_are_read(trained_sae, tmp_path, planted):
    sae, _ = trained_sae
    mean = torch.linspace(-1, 1, 20)
    state = {**released_state(sae), "b_dec": sae.bias - mean}
    path = tmp_path / "released.pt"
    torch.save({"state_dict": state, "cfg": {"k": 2}, "act_mean": mean}, path)
    vectors, _ = planted(50, 5)
    released = read_released(path)
    found = released.decode(released.encode(vectors))
    torch.testing.assert_close(found, sae.decode(sae.encode(vectors)))
    assert released.k == 2 and released.config is None
    del state["b_dec"]
    torch.save({"state_dict": state}, path)
    with pytest.raises(SAEError, match="released.pt is not a released SAE: KeyError\\('b_dec'\\)"):
        read_released(path)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("threshold", torch.tensor(torch.nan), "threshold must be a finite number, got nan"),
        ("threshold", "high", "could not convert string to float"),
        ("threshold", None, "is not a released SAE: TypeError"),
        ("k", torch.tensor(2.5), "k must be a whole number from 1 to 60, got 2.5"),
        ("k", None, "is not a released SAE: TypeError"),
        ("decoder.weight", torch.ones(20, 60), "decoder directions are not of length 1"),
        ("encoder.bias", torch.zeros(3), "encoder_bias has shape"),
    ],
)
def test_released_files_with_wrong_values_are_refused(trained_sae, tmp_path, name, value, message):
    state = released_state(trained_sae[0]) | {name: value}
    torch.save({"state_dict": state}, tmp_path / "released.pt")
    with pytest.raises(SAEError, match=f"released.pt is not a released SAE.*{message}|{message}"):
        read_released(tmp_path / "released.pt")


def test_a_file_that_does_not_fit_is_refused_by_the_parameters_name(trained_sae, tmp_path):
    torch.save({"state_dict": released_state(trained_sae[0])}, tmp_path / "released.pt")
    (tmp_path / "text.pt").write_text("no weights")
    assert open_sae(tmp_path / "released.pt", 20).config is None
    for name, message in {
        "released.pt": "sae_file released.pt is for vectors of width 20, not 64",
        "absent.pt": "sae_file: there is no file at .*absent.pt",
        "text.pt": "sae_file: text.pt is damaged",
    }.items():
        with pytest.raises(ConfigError, match=message):
            open_sae(tmp_path / name, 64)


def test_five_lines_are_enough_for_any_activations(tmp_path, monkeypatch):
    lines = sae_module.__doc__.split("\n\n")[1].splitlines()
    assert len(lines) == 5
    vectors = torch.randn(300, 20, generator=torch.Generator().manual_seed(1))
    names = {"vectors": vectors}
    monkeypatch.chdir(tmp_path)
    exec("\n".join(lines).replace("k=3", "k=3, steps=60"), names)
    assert names["reconstruction"].shape == vectors.shape
    assert names["latents"].shape == (300, 128) and (names["latents"] > 0).any()
    assert torch.equal(load_sae("sae.safetensors").encode(vectors), names["latents"])


def test_files_that_are_damaged_or_hold_code_are_refused(trained_sae, tmp_path):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "mark"),)

    torch.save({"state_dict": Malicious()}, tmp_path / "code.pt")
    with pytest.raises(SAEError, match="code.pt is damaged or not plain weights"):
        read_released(tmp_path / "code.pt")
    assert not (tmp_path / "mark").exists()
    with pytest.raises(SAEError, match="missing.pt"):
        read_released(tmp_path / "missing.pt")
    path = save_sae(trained_sae[0], tmp_path / "sae.safetensors")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(SAEError, match="sae.safetensors cannot be read as an SAE"):
        load_sae(path)


def test_saes_are_kept_for_their_model_and_settings(separator, runs, tmp_path):
    config = SAEConfig(d_sae=16, k=3, steps=20)
    one = load_or_train_sae(separator, config)
    (path,) = (runs / "checkpoints").iterdir()
    assert torch.equal(load_or_train_sae(separator, config).decoder, one.decoder)
    load_or_train_sae(separator, SAEConfig(d_sae=16, k=3, steps=21))
    other = separator_of(make_model(separator.config))
    load_or_train_sae(other, config)
    assert len(list((runs / "checkpoints").iterdir())) == 3
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="cannot be read as an SAE"):
        load_or_train_sae(separator, config)
