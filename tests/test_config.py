"""Config: what is derived, what is refused, and that refusal is cheap."""

import subprocess
import sys
from typing import Any, get_args

import numpy as np
import pytest

from listcomp_utils.config import Config, ConfigError, coerce
from listcomp_utils.notebook.parameters import make_config


def test_presets_are_the_two_published_models():
    seed, study = Config.preset("seed"), Config.preset("study")
    assert (seed.n_digits, seed.list_len, seed.d_model, seed.d_vocab) == (10, 2, 16, 11)
    assert (seed.layer_norm, seed.bias, seed.learn_w_v, seed.learn_w_o) == (True, True, False, True)
    assert (study.n_digits, study.d_model, study.d_vocab) == (100, 64, 102)
    assert not (study.layer_norm or study.bias or study.learn_w_v or study.learn_w_o)
    assert (study.mask_id, study.sep_id) == (100, 101)
    assert (seed.mask_id, seed.sep_id) == (None, 10)


def test_positions_and_labels():
    config = Config(list_len=3)
    assert config.labels == ("d1", "d2", "d3", "SEP", "o1", "o2", "o3")
    assert config.labels[config.sep_position] == "SEP"
    assert [config.labels[p] for p in config.prediction_positions] == ["SEP", "o1", "o2"]
    masked = Config(list_len=3, decoding="masked")
    assert [masked.labels[p] for p in masked.prediction_positions] == ["o1", "o2", "o3"]


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        (dict(list_len=0), "list_len must be at least 1, got 0"),
        (dict(list_len=-1), "list_len must be at least 1, got -1"),
        (dict(list_len="two"), "list_len must be a whole number, got 'two'"),
        (dict(list_len=2.5), "list_len must be a whole number, got 2.5"),
        (dict(list_len=True), "list_len must be a whole number, got True"),
        (dict(n_digits=1), "n_digits must be at least 2, got 1"),
        (dict(d_model=16, n_heads=3), "n_heads must divide d_model 16, got n_heads 3"),
        (dict(d_model=1), "layer_norm makes 0 of a single number: needs d_model 2, got 1"),
        (dict(decoding="beam"), "decoding must be one of ['autoregressive', 'masked'], got 'beam'"),
        (dict(loss_on="some"), "loss_on must be one of"),
        (dict(device="tpu"), "device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got 'tpu'"),
        (dict(device="mps"), "silently wrong"),
        (dict(embed_scale=0), "embed_scale must be above 0.0, got 0"),
        (dict(positions="sine"), "positions must be one of ['learned', 'none', 'rotary']"),
        (dict(positions="rotary", d_model=6, n_heads=2), "even d_model / n_heads, got 6 / 2"),
        (dict(lr=0), "lr must be above 0.0, got 0"),
        (dict(lr="nan"), "lr must be"),
        (dict(train_fraction=0), "train_fraction must be above 0.0, got 0"),
        (dict(train_fraction=0.001), "leaves none to train"),
        (dict(weight_decay=-1), "weight_decay must be at least 0.0, got -1"),
        (dict(lr="inf"), "lr must be a finite number, got 'inf'"),
        (dict(list_len=400), "list_len must be at most 64, got 400"),
        (dict(list_len=30_000_000), "list_len must be at most 64"),
        (dict(seed=2**32), "seed must be below 2147483648, got 4294967296"),
        (dict(split_seed=2**31), "split_seed must be below 2147483648"),
        (dict(n_digits=10**6, d_model=8192), "16,920,928,256 weights, at most 100,000,000"),
        (dict(layer_norm="yes"), "layer_norm must be true or false, got 'yes'"),
    ],
)
def test_bad_settings_are_named(setting, named):
    with pytest.raises(ConfigError) as error:
        Config(**setting)
    assert named in str(error.value)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown field 'n_digit'; did you mean 'n_digits'"):
        Config.preset("seed", n_digit=5)
    with pytest.raises(ConfigError, match="preset must be one of"):
        Config.preset("sead")


def test_text_is_read_as_what_it_means():
    config = Config(list_len="3", lr="1e-3", layer_norm="false", n_digits=5.0)
    assert (config.list_len, config.lr, config.layer_norm, config.n_digits) == (3, 1e-3, False, 5)
    assert coerce("sample_list", "[8, 3]", tuple[int, ...]) == (8, 3)
    assert coerce("sample_list", [8, 3], tuple[int, ...]) == (8, 3)
    assert coerce("drive_dir", "none", str | None) is None
    assert make_config({"positions": "none"}).positions == "none", "a choice, not the preset's"
    assert make_config({"positions": None}).positions == "learned"


def test_round_trip_and_frozen():
    config = Config.preset("study", list_len=3)
    assert Config(**config.to_dict()) == config
    with pytest.raises(ValueError, match="frozen"):
        config.list_len = 4


def another(value: Any, kind: Any) -> Any:
    """A value of a field that is not this one."""
    if get_args(kind):
        return next(choice for choice in get_args(kind) if choice != value)
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value / 2 + 0.1


def test_slugs_tell_every_difference_but_the_device():
    base = Config.preset("study")
    assert base.replace(device="cpu").slug == base.slug
    slugs = {base.slug}
    fields = {name: field for name, field in Config.model_fields.items() if name != "device"}
    for name, field in fields.items():
        slugs.add(base.replace(**{name: another(getattr(base, name), field.annotation)}).slug)
    assert len(slugs) == len(fields) + 1
    assert "-none-seed0" in base.replace(positions="none").slug


def test_a_minus_before_zero_makes_no_other_model():
    assert Config(weight_decay=-0.0).slug == Config(weight_decay=0.0).slug


def test_the_largest_tasks_are_checked_at_once():
    """64 digits of a million: 10^384 lists, more than a float holds."""
    assert Config(list_len=64, n_digits=1_000_000, d_model=2).n_lists == 10**384


def test_whole_numbers_of_other_libraries_are_read():
    assert Config(list_len=np.int64(3), lr=np.float32(0.5)) == Config(list_len=3, lr=0.5)


def test_the_shipped_checkpoints_names_stay():
    stems = [Config.preset(preset).slug for preset in ("seed", "study")]
    assert stems == [
        "autoregressive-len2-digits10-layers2-heads1-width16-ln-bias-wo-seed0",
        "masked-len2-digits100-layers2-heads1-width64-seed0-f76b1c42",
    ]


def test_a_wrong_setting_fails_without_loading_torch():
    code = (
        "import sys, listcomp_utils\n"
        "from listcomp_utils.notebook.parameters import make_config\n"
        "try:\n    make_config({'list_len': 'two'})\n"
        "except ValueError as error:\n    print(error, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "list_len must be a whole number, got 'two' False"
