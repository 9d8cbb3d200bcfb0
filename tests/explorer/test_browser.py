"""The page in a browser computes what Python computes, follows its reader, fits every screen."""

import base64
import json
import re
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch

from listcomp_utils.ablation.edges import knock_out
from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.circuit.order_axis import order_axis, outputs_of, read_out, separator, steer
from listcomp_utils.explorer.page import shipped_models
from listcomp_utils.generation import generate
from listcomp_utils.hooks import logits_with
from listcomp_utils.mask import build_mask, edge_label, edges
from listcomp_utils.model import config_of
from listcomp_utils.task import all_lists

PAGE = Path(__file__).resolve().parents[2] / "artifacts" / "explorer.html"
WIDTHS = (1400, 800, 400)
NAMES = ("study", "ranked", "hand")


@pytest.fixture(scope="module")
def models():
    return shipped_models()


def some_lists(config, count=200):
    lists = all_lists(config)
    return lists[torch.randperm(len(lists), generator=torch.Generator().manual_seed(0))[:count]]


def written_by(page, name, lists, **changes):
    """What the page says of some lists: tokens (list, 2), logits (list, 2, token)."""
    found = page.evaluate(
        "([name, lists, how]) => lists.map(([a, b]) => explorer.written(name, a, b, how))",
        [name, lists.tolist(), changes],
    )
    logits = torch.tensor([[one["o1"], one["o2"]] for one in found], dtype=torch.float64)
    return torch.tensor([one["written"] for one in found]), logits


def all_written(page, name, **changes):
    flat = page.evaluate("([name, how]) => explorer.allWritten(name, how)", [name, changes])
    return torch.tensor(flat).view(-1, 2)


def assert_same(found, expected):
    """Logits to a part in 10^11 of the largest that was added up, and the tokens written."""
    written, logits = found
    largest = expected.abs().max()
    assert (logits - expected).abs().max() <= 1e-11 * largest
    assert torch.equal(written, expected.argmax(-1))


@pytest.mark.parametrize("name", NAMES)
def test_all_lists_are_written_as_the_model_writes_them(opened, models, name):
    page = opened(PAGE)
    lists = all_lists(config_of(models[name]))
    assert len(lists) == 10_000
    assert torch.equal(all_written(page, name), generate(models[name], lists))
    assert page.evaluate("explorer.readyAfter") < 2000


@pytest.mark.parametrize("name", NAMES)
def test_a_dose_along_the_order_axis_does_what_it_does_in_python(opened, models, name):
    page, config = opened(PAGE), config_of(models[name])
    weights, lists = weights_of(models[name], torch.float64), some_lists(config)
    axis, vectors = order_axis(weights), separator(weights, lists).vectors
    reach = page.evaluate("name => explorer.models.get(name).reach", name)
    doses = [share * reach for share in (-0.35, 0.02, 0.2, 1)]
    for dose in doses:
        expected = read_out(weights, vectors + dose * axis.direction).logits
        assert_same(written_by(page, name, lists, dose=dose), expected)
    everything = all_lists(config)
    shares = steer(weights, everything, axis.direction, doses)
    differ = everything[:, 0] != everything[:, 1]
    for dose, turned, kept in zip(doses, shares.reversed, shares.kept, strict=True):
        written = all_written(page, name, dose=dose)[differ]
        assert (written == everything[differ].flip(1)).all(1).double().mean().item() == turned
        assert (written == everything[differ]).all(1).double().mean().item() == kept


@pytest.mark.parametrize("name", NAMES)
def test_each_edge_cut_does_what_it_does_in_the_model(opened, name):
    page, model = opened(PAGE), shipped_models()[name].double()
    config, offered = config_of(model), page.evaluate("explorer.cuts")
    lists, every = some_lists(config), edges(build_mask(config))
    assert set(offered) <= {edge_label(config, edge) for edge in every}
    untouched = logits_with(model, lists, [])[:, config.prediction_positions]
    for edge in every:
        cut = logits_with(model, lists, knock_out(model, [edge], "zero"))
        cut, label = cut[:, config.prediction_positions], edge_label(config, edge)
        if label in offered:
            assert_same(written_by(page, name, lists, cut=label), cut)
        else:  # not offered, as it reaches no output
            assert torch.equal(cut, untouched)


@pytest.mark.parametrize("name", NAMES)
def test_o2s_attention_frozen_leaves_at_most_one_order_of_a_pair(opened, models, name):
    page, config = opened(PAGE), config_of(models[name])
    weights, lists = weights_of(models[name], torch.float64), all_lists(config)
    mean, some = outputs_of(weights, lists).moderation.mean(), some_lists(config)
    vectors = separator(weights, some).vectors
    expected = read_out(weights, vectors, mean.expand(len(some))).logits
    assert_same(written_by(page, name, some, frozen=True), expected)
    right = (all_written(page, name, frozen=True) == lists).all(1).view(100, 100)
    assert not (right & right.T).triu(1).any()


def shown(page):
    return page.evaluate("document.documentElement.dataset.written")


def test_the_page_follows_the_address_and_the_keys(opened, models):
    page = opened(PAGE, "#list=60,44")
    assert shown(page) == "60,44"
    said = {
        tuple(one): f"{a},{b}"
        for one in [[61, 44], [61, 45]]
        for a, b in generate(models["study"], [one]).tolist()
    }
    page.focus("#first")
    page.keyboard.press("ArrowRight")
    assert shown(page) == said[61, 44]
    page.focus("#second")
    page.keyboard.press("ArrowRight")
    assert shown(page) == said[61, 45]
    page.wait_for_function("location.hash === '#list=61,45&model=study'")
    page.evaluate("location.hash = 'list=7,3&model=hand'")
    page.wait_for_function("document.documentElement.dataset.written === '7,3'")
    page.check("input[name=sort][value=value]")
    page.focus("#map")
    for key in ("ArrowUp", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    assert shown(page) == "16,4"
    page.fill("#first-number", "99")
    assert shown(page) == "99,4"
    page.click("#swap")
    assert shown(page) == "4,99"


def test_moving_sep_to_the_swapped_lists_place_swaps_the_outputs_and_undo_undoes(opened):
    page = opened(PAGE, "#list=60,44")
    page.click("#mirror")
    assert shown(page) == "44,60" and "swapped" in page.inner_text("#say-try")
    page.click("#reset")
    assert shown(page) == "60,44"
    page.focus("#dose")
    for _ in range(3):
        page.keyboard.press("PageUp")
    page.wait_for_function("document.documentElement.dataset.written !== '60,44'")


def test_failing_lists_are_gone_through_and_told_in_words(opened, models):
    page = opened(PAGE, "#list=0,0")
    lists = all_lists(config_of(models["study"]))
    wrong = {
        f"{a},{b}" for a, b in lists[(generate(models["study"], lists) != lists).any(1)].tolist()
    }
    seen = set()
    for _ in range(5):
        page.click("#after")
        page.wait_for_timeout(250)
        seen.add(re.search(r"list=(\d+,\d+)", page.url).group(1))
    assert len(seen) == 5 and seen <= wrong
    assert f"of {len(wrong)}" in page.inner_text("#which")
    page.click("#words summary")
    told = "document.querySelector('#failing').innerText.split('is written').length"
    page.wait_for_function(f"{told} === 301")
    assert f"{len(wrong)} of 10,000" in page.inner_text("#say-map")


@pytest.mark.parametrize(
    "address", ["#list=400,x", "#list=100,0", "#list=1", "#list=&model=", "#model=none"]
)
def test_a_wrong_address_is_answered_by_what_is_allowed(opened, address):
    page = opened(PAGE, address)
    assert shown(page) == "60,44"
    assert re.search("0 to 99|study, ranked, hand", page.inner_text("#wrong-input"))
    page.fill("#first-number", "400")
    assert shown(page) == "60,44" and "0 to 99" in page.inner_text("#wrong-input")
    page.fill("#first-number", "44")
    assert page.inner_text("#wrong-input") == ""


def test_a_weight_that_is_not_finite_is_named_and_the_other_models_work(opened, tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    (data,) = re.findall(r'id="weights">(.+?)</script>', page)
    entries = json.loads(data)
    broken = np.full(102 * 64, np.nan, "<f4").tobytes()
    for entry in entries[:2]:
        entry["token"]["data"] = base64.b64encode(broken).decode()
    path = tmp_path / "broken.html"
    path.write_text(page.replace(data, json.dumps(entries)), encoding="utf-8")
    view = opened(path)
    assert "“Trained” cannot be used" in view.inner_text("#wrong-input")
    assert shown(view) == "60,44" and view.is_disabled("input[value=study]")
    del entries[2]
    path.write_text(page.replace(data, json.dumps(entries)), encoding="utf-8")
    assert "finite numbers" in opened(path).inner_text("#wrong-input")


CHANGES = [
    {"dose": 0, "cut": "", "frozen": False},
    {"dose": -150, "cut": "", "frozen": True},
    {"dose": 40, "cut": "L1 o2<-o1", "frozen": False},
    {"dose": 1000, "cut": "L0 SEP<-d1", "frozen": True},
]
CHANGE = """({dose, cut, frozen}) => {
  const slider = document.getElementById("dose"), box = document.getElementById("frozen");
  slider.value = dose;
  slider.dispatchEvent(new Event("input"));
  document.querySelector(`input[name=cut][value="${cut}"]`).click();
  if (box.checked !== frozen) box.click();
}"""
SIZES = """([model, a, b]) => new Promise(done => {
  location.hash = `list=${a},${b}&model=${model}`;
  addEventListener("hashchange", () => requestAnimationFrame(() => {
    const {scrollWidth, scrollHeight} = document.documentElement;
    done([scrollWidth - innerWidth, scrollHeight]);
  }), {once: true});
})"""


def test_it_works_in_a_frame_without_an_address_as_notebooks_show_it(opened, tmp_path):
    frame = f'<iframe srcdoc="{escape(PAGE.read_text(encoding="utf-8"))}" width="900"></iframe>'
    path = tmp_path / "notebook.html"
    path.write_text(f'<html data-ready="true"><meta charset="utf-8">{frame}', encoding="utf-8")
    inside = opened(path).wait_for_selector("iframe").content_frame()
    inside.wait_for_selector("html[data-ready=true]", state="attached")
    inside.click("#swap")
    inside.wait_for_timeout(400)  # the address is written a moment later, where there is one
    assert shown(inside) == "44,60"


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen_and_nothing_jumps(opened, width):
    page = opened(PAGE, width=width)
    lists = [[60, 43], [44, 60], [0, 0], [99, 98], [5, 77], [31, 31], [10, 11]]
    sizes = set()
    for name in NAMES:
        for change in CHANGES:
            page.evaluate(CHANGE, change)
            for a, b in lists:
                wider, high = page.evaluate(SIZES, [name, a, b])
                assert wider <= 0
                sizes.add(high)
    assert len(sizes) == 1, sizes
