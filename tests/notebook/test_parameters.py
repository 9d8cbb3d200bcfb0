"""Notebook parameters: what papermill puts in is read, checked and named when wrong."""

from __future__ import annotations

import pytest

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.notebook.parameters import (
    artifacts_folder,
    example_list,
    is_established,
    make_config,
    read_parameters,
)


def test_none_keeps_the_preset_and_text_is_read():
    namespace = dict(preset="study", list_len="3", layer_norm=None, lr="1e-3", retrain="false")
    config, options = read_parameters(namespace)
    assert config == Config.preset("study", list_len=3, lr=1e-3)
    assert options.retrain is False


def test_own_parameters_of_a_notebook():
    _, options = read_parameters(dict(sizes="[8, 3]"), sizes=tuple[int, ...])
    assert options.sizes == (8, 3)
    with pytest.raises(ConfigError, match=r"sizes\[1\] must be a whole number, got 'x'"):
        read_parameters(dict(sizes=[8, "x"]), sizes=tuple[int, ...])
    with pytest.raises(ConfigError, match="draws must be at least 1, got 0"):
        read_parameters(dict(draws="0"), draws=int)


def test_the_list_to_look_at():
    assert example_list(Config(), None) == (8, 3)
    assert example_list(Config(n_digits=3, list_len=4), None) == (2, 0, 2, 1)
    assert example_list(Config(), (1, 2)) == (1, 2)
    for wrong in ((1,), (1, 10), (1, -1)):
        with pytest.raises(ConfigError, match="sample_list must be 2 digits from 0 to 9"):
            example_list(Config(), wrong)


def test_unknown_injected_names_are_refused():
    cell = "# Parameters\nn_digit = 5\n"
    with pytest.raises(ConfigError, match="unknown parameter 'n_digit'; did you mean 'n_digits'"):
        read_parameters({"In": ["", "import os", cell], "n_digit": 5})
    config, _ = read_parameters({"In": ["", "own = 3"], "own": 3})
    assert config == Config(), "a reader's own variables are no parameters"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (dict(list_len="two"), "list_len must be a whole number, got 'two'"),
        (dict(preset="sead"), "preset must be one of"),
        (dict(preset=3), "preset must be text"),
        (dict(n_heads=3), "n_heads must divide d_model"),
    ],
)
def test_wrong_values_are_named(values, named):
    with pytest.raises(ConfigError, match=named):
        make_config(values)


def test_claims_apply_to_the_presets_with_any_seed():
    assert is_established(Config.preset("study", seed=5, device="cpu"))
    assert not is_established(Config.preset("seed", steps=20))


def test_where_models_are_kept(tmp_path):
    assert artifacts_folder(None, None) is None
    assert artifacts_folder(str(tmp_path), None) == tmp_path
    with pytest.raises(ConfigError, match="for Colab only"):
        artifacts_folder(None, "models")
    with pytest.raises(ConfigError, match="not both"):
        artifacts_folder("here", "models")
