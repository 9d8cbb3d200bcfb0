"""Checkpoints: round trips, the two references, and refusals by name."""

import contextlib
import json
import os
import pickle
import random
import signal
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from listcomp_utils import checkpoints
from listcomp_utils.checkpoints import (
    CheckpointError,
    classic_state_dict,
    find_trained,
    load_model,
    load_or_train,
    save_model,
)
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.files import shipped_dir
from listcomp_utils.generation import accuracy
from listcomp_utils.model import config_of, make_model
from listcomp_utils.task import input_tokens, sample_lists, split_lists
from listcomp_utils.training.history import History

QUICK = Config(steps=4, eval_every=2)

needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork") or sys.platform == "darwin", reason="needs fork"
)


def same_weights(one, other) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(weight, theirs[name]) for name, weight in one.state_dict().items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize(
    "config",
    [
        Config.preset("seed"),
        Config.preset("study", n_digits=12, d_model=8, n_heads=2, list_len=3),
        Config(learn_w_v=True, bias=False, n_layers=1),
    ],
    ids=["seed", "study, two heads", "learned W_V"],
)
def test_round_trip(tmp_path, suffix, config):
    model = make_model(config)
    path = save_model(model, tmp_path / f"model{suffix}")
    loaded = load_model(path, config)
    assert same_weights(model, loaded)
    tokens = input_tokens(config, sample_lists(config, 10, 0))
    assert torch.equal(model(tokens), loaded(tokens))


def test_safetensors_know_their_config_and_history(tmp_path, trained):
    path = save_model(trained.model, tmp_path / "m.safetensors", trained.history)
    assert config_of(load_model(path)) == trained.config
    assert load_or_train(trained.config, checkpoint=path).history == trained.history


def test_seed_format_checkpoint(reference):
    model = load_model(reference("seed_format_len2.pt"), Config.preset("seed"))
    expected = np.load(reference("seed_format_len2.npz"))
    tokens = input_tokens(config_of(model), torch.as_tensor(expected["lists"]).long())
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens)
    np.testing.assert_allclose(logits, expected["logits"], rtol=0, atol=1e-5)
    for layer in (0, 1):
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"]
        np.testing.assert_allclose(pattern, expected[f"pattern{layer}"], rtol=0, atol=1e-5)
    assert accuracy(model).per_list == 1.0


def test_published_checkpoint(released):
    held_out = accuracy(released, split_lists(config_of(released)).held_out)
    assert (held_out.per_token, held_out.per_list) == (0.9145, 0.831)
    assert tuple(round(share, 3) for share in held_out.per_position) == (0.990, 0.839)
    everything = accuracy(released)
    assert (everything.per_token, everything.per_list) == (0.95495, 0.9118)


def test_classic_names_are_those_of_the_reference(reference):
    theirs = torch.load(reference("seed_format_len2.pt"), weights_only=True)
    ours = classic_state_dict(load_model(reference("seed_format_len2.pt"), Config.preset("seed")))
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if "mask" not in name)


@pytest.mark.parametrize("preset", ["seed", "study"])
def test_shipped_checkpoints_are_the_presets(preset):
    config = Config.preset(preset)
    shipped = load_or_train(config)
    assert not shipped.trained_now and shipped.path.parent == shipped_dir()
    assert config_of(shipped.model) == config
    assert shipped.path.stat().st_size < 1_000_000
    split = split_lists(config)
    lists = split.held_out if len(split.held_out) else None
    assert accuracy(shipped.model, lists).per_token >= (1.0 if preset == "seed" else 0.90)
    written = json.loads(shipped.path.with_suffix(".history.json").read_text())
    assert History.from_dict(written) == shipped.history


def test_a_config_of_another_shape_is_refused(tmp_path):
    path = save_model(make_model(Config()), tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match="made with list_len 2, but the config says 3"):
        load_model(path, Config(list_len=3))
    classic = save_model(make_model(Config()), tmp_path / "m.pt")
    for config, said in (
        (Config(d_model=8), "blocks.0.attn.W_Q"),
        (Config(decoding="masked"), r"unembed.weight has shape \(11, 16\), not \(12, 16\)"),
        (Config(layer_norm=False), "ln1.weight is unknown"),
        (Config(n_layers=3), "blocks.2.attn.q.weight is missing"),
    ):
        with pytest.raises(CheckpointError, match=said):
            load_model(classic, config)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda w: w.pop("pos_embed.W_pos"), "pos_embed.weight is missing"),
        (lambda w: w.update({"extra.W_E": torch.zeros(2)}), "extra.weight is unknown"),
        (lambda w: w.update({"odd": torch.zeros(2)}), "odd"),
        (lambda w: w["embed.W_E"].fill_(float("nan")), "embed.weight holds values that are not"),
        (lambda w: w["blocks.0.attn.W_V"].mul_(2), r"v.weight differs from its frozen value"),
        (lambda w: w.update({"embed.W_E": torch.zeros(40, 16)}), "embed.weight has shape"),
        (lambda w: w.update({"embed.W_E": w["embed.W_E"].double() * 1e300}), "not finite"),
        (lambda w: w["blocks.1.attn.mask"].fill_(True), "attn.mask is neither"),
        (lambda w: w.update({7: torch.zeros(1)}), "dense tensors by name"),
        (lambda w: w.update({"embed.W_E": w["embed.W_E"].to_sparse()}), "dense tensors by name"),
        (lambda w: w.update({"embed.W_E": torch.zeros(11, 16, device="meta")}), "dense tensors"),
    ],
)
def test_odd_weights_are_refused_by_name(tmp_path, change, named):
    weights = classic_state_dict(make_model(Config()))
    change(weights)
    torch.save(weights, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=named):
        load_model(tmp_path / "m.pt", Config())


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("kept", [0, 7, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path, suffix, kept):
    path = save_model(make_model(Config()), tmp_path / f"m{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(path, Config())


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (self.marker,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_file_is_never_run(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"embed.W_E": Malicious(str(marker))}, tmp_path / "m.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Malicious(str(marker))))
    (tmp_path / "m.safetensors").write_bytes(pickle.dumps(Malicious(str(marker))))
    for name in ("m.pt", "plain.pt", "m.safetensors"):
        with pytest.raises(CheckpointError):
            load_model(tmp_path / name, Config())
    assert not marker.exists()


def test_other_files_and_calls_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_model(tmp_path / "absent.safetensors")
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="not written by save_model"):
        load_model(tmp_path / "other.safetensors")
    for config, said in (
        ('{"list_len": 0}', "list_len must be at least 1"),
        ('{"n_digits": 1000000, "d_model": 64}', "weights, at most"),
        ('{"n_digits": 700000, "d_model": 64}', "numbers, .* are needed"),
        ("[" * 100_000, "damaged config"),
    ):
        metadata = {"format": checkpoints.FORMAT, "config": config}
        safetensors.torch.save_file({}, tmp_path / "bad.safetensors", metadata)
        with pytest.raises(CheckpointError, match=said):
            load_model(tmp_path / "bad.safetensors")
    model = make_model(Config())
    with pytest.raises(CheckpointError, match=r"\.safetensors or \.pt"):
        save_model(model, tmp_path / "m.ckpt")
    path = save_model(model, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="a config is needed"):
        load_model(path)


def test_a_history_without_its_best_step_is_refused(tmp_path, trained):
    history = replace(trained.history, best_step=7)
    path = save_model(trained.model, tmp_path / "m.safetensors", history)
    with pytest.raises(CheckpointError, match="best_step 7 was never evaluated"):
        load_model(path)


def test_a_checkpoint_is_taken_for_its_config_and_not_for_its_name(tmp_path):
    other = save_model(make_model(QUICK.replace(lr=0.5)), tmp_path / "other.safetensors")
    other.rename(tmp_path / f"{QUICK.slug}.safetensors")
    assert find_trained(QUICK, tmp_path) is None


def test_a_full_disk_after_the_training_loses_nothing(tmp_path, monkeypatch):
    real = checkpoints.write_atomically

    def full(path, content):
        if path.parent == tmp_path / "full":
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(checkpoints, "write_atomically", full)
    monkeypatch.setattr(checkpoints.tempfile, "gettempdir", lambda: str(tmp_path))
    with pytest.warns(UserWarning, match="No space left.*it is kept as"):
        trained = load_or_train(QUICK, tmp_path / "full", progress="none")
    assert same_weights(load_model(trained.path), trained.model)
    assert list((tmp_path / "full").iterdir()) == []


def test_an_unwritable_folder_is_named_before_any_training(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setattr(checkpoints, "train", lambda *_: pytest.fail("trained first"))
    with pytest.raises(ConfigError, match=f"artifacts_dir '{blocked}/sub' cannot be written"):
        load_or_train(QUICK, blocked / "sub")


def test_load_or_train_trains_once(tmp_path):
    first = load_or_train(QUICK, tmp_path, progress="none")
    second = load_or_train(QUICK, tmp_path, progress="none")
    assert first.trained_now and not second.trained_now
    assert same_weights(first.model, second.model) and second.history == first.history
    assert load_or_train(QUICK, tmp_path, retrain=True, progress="none").trained_now
    assert load_or_train(QUICK.replace(lr=0.5), tmp_path, progress="none").trained_now


def test_an_interrupted_training_is_kept_but_not_taken_for_finished(tmp_path, monkeypatch):
    real = checkpoints.train

    def interrupted(config, progress):
        result = real(config, progress)
        return replace(result, history=replace(result.history, interrupted=True))

    monkeypatch.setattr(checkpoints, "train", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        first = load_or_train(QUICK, tmp_path, progress="none")
    assert first.path.name.endswith(".interrupted.safetensors")
    assert load_or_train(QUICK, checkpoint=first.path).history.interrupted
    monkeypatch.setattr(checkpoints, "train", real)
    assert load_or_train(QUICK, tmp_path, progress="none").trained_now


@contextlib.contextmanager
def endless_saves(models, path):
    """Another process that saves one model after the other, and is killed at the end."""
    child = os.fork()
    while child == 0:
        for model in models:
            save_model(model, path)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@needs_fork
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_killed_saves_leave_the_old_or_the_new_file(tmp_path, suffix):
    models = [make_model(Config(seed=seed)) for seed in (0, 1)]
    path = save_model(models[0], tmp_path / f"m{suffix}")
    delays = random.Random(0)
    for _ in range(20):
        with endless_saves(models, path):
            time.sleep(delays.uniform(0.001, 0.05))
        loaded = load_model(path, Config())
        assert any(same_weights(loaded, model) for model in models)


@needs_fork
def test_two_writers_at_once_never_mix(tmp_path):
    models = [make_model(Config(seed=seed)) for seed in (0, 1)]
    path = save_model(models[0], tmp_path / "m.safetensors")
    with endless_saves(models[:1], path), endless_saves(models[1:], path):
        for _ in range(100):
            loaded = load_model(path)
            assert any(same_weights(loaded, model) for model in models)
