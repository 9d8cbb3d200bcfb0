"""Notebook parameters: what a reader or papermill gives is read, checked and named when wrong."""

import pytest

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.notebook import parameters
from listcomp_utils.notebook.parameters import example_list, is_established, read_parameters

CELL = """# Parameters: change a value here, or add any other field of Config
preset: str = "seed"  # starting point
list_len: int = None  # digits in a list
draws: int = 20  # draws of each random intervention
"""
READ = "config, options = read_parameters(globals())"


def kernel(*cells, **variables):
    """A notebook's `globals()` after these inputs."""
    return {"In": ["", "import os", *cells, READ], **variables}


def test_none_keeps_the_preset_and_text_is_read():
    namespace = dict(preset="study", list_len="3", layer_norm=None, lr="1e-3", retrain="false")
    config, options = read_parameters(namespace)
    assert config == Config.preset("study", list_len=3, lr=1e-3)
    assert options.retrain is False


def test_fields_that_the_parameters_cell_does_not_show_are_read_and_checked_too():
    config, options = read_parameters(kernel(CELL, "# Parameters\nn_heads = 2\ndraws = '3'\n"))
    assert config == Config(n_heads=2) and options.draws == 3
    with pytest.raises(ConfigError, match="n_heads must divide d_model"):
        read_parameters(kernel(CELL, "# Parameters\nn_heads = 3\n"))
    config, _ = read_parameters(kernel(CELL, "steps = 40", "eval_every = 10"))
    assert (config.steps, config.eval_every) == (40, 10), "nbmake's mocks, an input each"


@pytest.mark.parametrize(("name", "near"), [("n_digit", "n_digits"), ("draw", "draws")])
def test_an_unknown_name_is_refused_with_the_nearest(name, near):
    typo = f"# Parameters\n{name} = 5\n"
    for namespace in (kernel(CELL, typo), kernel(CELL + typo), {name: 5}):
        with pytest.raises(ConfigError, match=f"unknown parameter '{name}'; did you mean '{near}'"):
            read_parameters(namespace)


def test_an_option_of_other_notebooks_is_refused():
    with pytest.raises(ConfigError, match="unknown parameter 'sae_steps'"):
        read_parameters(kernel(CELL, "# Parameters\nsae_steps = 5\n"))


def test_a_second_run_of_all_cells_reads_what_is_written_not_what_variables_became():
    """Notebooks use names such as `positions` and `seed` for other things further down."""
    later = "for seed in range(3): pass\npositions = seed"
    changed = CELL + "seed: int = 5\n"
    rerun = kernel(CELL, READ, later, "import os", changed, seed=2, positions=2)
    assert read_parameters(rerun)[0] == Config(seed=5)
    only_the_reading_cell = kernel(CELL, READ, "x = 3", seed=2, x=3)
    assert read_parameters(only_the_reading_cell)[0] == Config()
    with pytest.raises(ConfigError, match="unknown parameter 'stepps'"):
        read_parameters(kernel(CELL, READ, later, CELL + "stepps = 3"))


def test_a_value_may_be_an_expression():
    assert read_parameters(kernel(CELL + "steps = 10 * 2", steps=20))[0].steps == 20


def test_without_its_parameters_cell_a_notebook_says_what_to_run():
    with pytest.raises(ConfigError, match="run the parameters cell first"):
        read_parameters(kernel("x = 3"))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (dict(sample_list=[8, "x"]), r"sample_list\[1\] must be a whole number, got 'x'"),
        (dict(draws=0), "draws must be at least 1, got 0"),
        (dict(draws=True), "draws must be a whole number, got True"),
        (dict(d_sae=10**9), "d_sae must be at most 65536, got 1000000000"),
        (dict(probe_lists=9), "probe_lists must be at least 10, got 9"),
        (dict(k=9, d_sae=8), "k must be at most d_sae 8, got 9"),
        (dict(retrain="perhaps"), "retrain must be true or false, got 'perhaps'"),
        (dict(sae_file=3), "sae_file must be text, got 3"),
    ],
)
def test_wrong_options_are_named(values, named):
    with pytest.raises(ConfigError, match=named):
        read_parameters(values)


def test_the_list_to_look_at():
    assert read_parameters(dict(sample_list="[8, 3]"))[1].sample_list == (8, 3)
    assert example_list(Config(), None) == (8, 3)
    assert example_list(Config(n_digits=3, list_len=4), None) == (1, 2, 0, 1)
    assert example_list(Config(n_digits=5), None) == (3, 1), "two digits, so that it has an order"
    assert example_list(Config(), (1, 2)) == (1, 2)
    for wrong in ((1,), (1, 10), (1, -1)):
        with pytest.raises(ConfigError, match="sample_list must be 2 digits from 0 to 9"):
            example_list(Config(), wrong)


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
        parameters.make_config(values)


def test_claims_apply_to_the_presets_with_any_seed():
    assert is_established(Config.preset("study", seed=5, device="cpu"))
    assert not is_established(Config.preset("seed", steps=20))
    assert not is_established(Config.preset("ranked"))


def test_where_models_are_kept(tmp_path):
    folder = parameters.artifacts_folder
    assert folder(None, None) is None and folder(str(tmp_path), None) == tmp_path
    for given, named in ((None, "for Colab only"), ("here", "not both")):
        with pytest.raises(ConfigError, match=named):
            folder(given, "models")
