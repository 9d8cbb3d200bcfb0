"""The explorable page as Python makes it: what it holds, what it refuses, where it is shown."""

import json
import re
from pathlib import Path

import pytest
import torch

from listcomp_utils.__main__ import main
from listcomp_utils.checkpoints import save_model
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.explorer.page import MOST_DIGITS, explorer_page, show_explorer, write_page
from listcomp_utils.files import HEADLESS_VARIABLE, REPORT_VARIABLE
from listcomp_utils.model import make_model
from listcomp_utils.notebook.show import METADATA_KEY

COMMITTED = Path(__file__).resolve().parents[2] / "artifacts" / "explorer.html"
SMALL = Config.preset("study", n_digits=8, d_model=16, device="cpu")


def models_in(page):
    (data,) = re.findall(r'<script type="application/json" id="weights">(.+?)</script>', page)
    return [(entry["key"], entry["digits"], entry["width"]) for entry in json.loads(data)]


def test_the_committed_page_is_what_the_command_makes_now(tmp_path, capsys):
    assert main(["explore", "--out", str(tmp_path / "page.html")]) == 0
    assert "saved" in capsys.readouterr().out
    assert (tmp_path / "page.html").read_bytes() == COMMITTED.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_the_page_is_small_and_asks_for_nothing():
    page = COMMITTED.read_text(encoding="utf-8")
    assert len(page.encode()) < 400_000
    assert not re.search(r"https?:|src=|@import|url\((?!#)", page)
    assert models_in(page) == [("study", 100, 64), ("ranked", 100, 64), ("hand", 100, 2)]


def test_a_model_of_ones_own_comes_first(tmp_path):
    path = save_model(make_model(SMALL), tmp_path / "o</script>wn.safetensors")
    page = write_page(tmp_path / "page.html", path).read_text(encoding="utf-8")
    assert models_in(page)[0] == ("yours", 8, 16) and "o</script>wn" not in page
    classic = save_model(make_model(Config.preset("study", device="cpu")), tmp_path / "classic.pt")
    page = write_page(tmp_path / "page.html", classic).read_text(encoding="utf-8")
    assert models_in(page)[0] == ("yours", 100, 64)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n_layers": 3}, "n_layers"),
        ({"list_len": 3}, "list_len"),
        ({"n_heads": 2}, "n_heads"),
        ({"layer_norm": True}, "layer_norm"),
        ({"decoding": "autoregressive"}, "decoding"),
        ({"n_digits": MOST_DIGITS + 1}, f"n_digits up to {MOST_DIGITS}"),
        ({"d_model": 2048, "n_digits": 100}, "d_model 2048 make a page of"),
    ],
)
def test_other_models_are_refused_by_name_before_anything_is_written(
    tmp_path, capsys, changes, named
):
    path = save_model(make_model(SMALL.replace(**changes)), tmp_path / "other.safetensors")
    out = tmp_path / "page.html"
    assert main(["explore", "--checkpoint", str(path), "--out", str(out)]) == 2
    assert named in capsys.readouterr().err
    assert not out.exists()


def test_files_and_weights_that_are_no_model_are_refused(tmp_path, capsys):
    assert main(["explore", "--checkpoint", str(tmp_path / "none.pt")]) == 2
    said = capsys.readouterr().err
    assert "none.pt" in said and "a .pt is read as of preset 'study'" in said
    model = make_model(SMALL)
    with torch.no_grad():
        next(model.parameters())[0, 0] = float("nan")
    with pytest.raises(ConfigError, match="token holds a number that is not finite"):
        explorer_page(model)


def test_a_notebook_shows_it_in_place_or_beside_the_report(tmp_path, monkeypatch, displayed):
    monkeypatch.setenv(REPORT_VARIABLE, str(tmp_path))
    show_explorer()
    assert (tmp_path / "explorer.html").read_bytes() == COMMITTED.read_bytes()
    data, more = displayed.pop()
    assert "explorer.html" in data["text/plain"]
    assert more["metadata"][METADATA_KEY] == {"page": "explorer.html", "height": 900}
    monkeypatch.delenv(HEADLESS_VARIABLE)
    show_explorer()
    frame = displayed.pop()[0]["text/html"]
    assert frame.startswith("<iframe title=") and frame.count("<") == 2 and "srcdoc" in frame
