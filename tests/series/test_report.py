"""The report opens offline, its figures interactive, and swallows or runs nothing it shows."""

import json
import re

import pytest

from listcomp_utils.series.report import _for_a_page, write_report
from listcomp_utils.series.run import execute_notebook


@pytest.fixture(scope="module")
def report(tmp_path_factory, tiny_series):
    folder = tmp_path_factory.mktemp("report")
    path = folder / "01_one.ipynb"
    assert execute_notebook(tiny_series / "01_one.ipynb", path, {}) is None
    write_report({path: None}, folder, {"lr": "<i>1e-3</i>"})
    return folder


@pytest.mark.parametrize("page", ["index.html", "01_one.html"])
def test_pages_load_nothing_from_elsewhere_and_their_links_lead_somewhere(report, page):
    text = (report / page).read_text()
    loads = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="([^"]+)"', text)
    assert set(loads) == {"plotly.min.js"} | ({"mechanism.png"} if page == "index.html" else set())
    for target in {*loads, *re.findall(r'href="(?!https?:|#)([^"]+)"', text)}:
        assert (report / target).is_file(), target


def test_figures_stand_in_their_places_with_their_words(report):
    page, index = ((report / name).read_text() for name in ("01_one.html", "index.html"))
    found = r'<script [^>]*class="figure"[^>]*>(.+?)</script>'
    figures = [json.loads(text) for text in re.findall(found, page)]
    assert [figure["data"][0]["type"] for figure in figures] == ["bar", "scatter"]
    assert figures[0]["data"][0]["y"] == [0.3333] and "min-height: 333px" in page
    assert page.count("<figcaption>A line.</figcaption>") == 1
    assert 'aria-label="A bar: it ends &lt;/script&gt; here."' in page
    assert [json.loads(text)["data"] for text in re.findall(found, index)] == [figures[0]["data"]]


def test_nothing_shown_is_taken_for_html(report):
    """Claims name edges such as `o2<-o1`, which a browser would otherwise read as a tag."""
    for page in ("index.html", "01_one.html"):
        text = (report / page).read_text()
        assert "o2&lt;-o1 &lt;b&gt;matters&lt;/b&gt; | twice" in text and "<b>matters" not in text
    assert "lr = &lt;i&gt;1e-3&lt;/i&gt;" in (report / "index.html").read_text()


def test_the_index_tells_question_answer_and_claims(report):
    text = (report / "index.html").read_text()
    assert "Does 01_one work?" in text and "<strong>Answer.</strong> It does" in text
    record = json.loads((report / "claims.json").read_text())
    assert [claim["holds"] for claim in record["claims"]["01_one"]] == [True, None]
    assert record["parameters"] == {"lr": "<i>1e-3</i>"}


def test_the_answer_and_what_failed_come_before_the_notebooks(report, tmp_path):
    path = tmp_path / "01_one.ipynb"
    text = (report / "01_one.ipynb").read_text()
    path.write_text(text.replace('"holds": true', '"holds": false'))
    write_report({path: "ValueError: no"}, tmp_path, {})
    text = (tmp_path / "index.html").read_text()
    told = ["1 of 1 notebooks failed", "Claims that do not hold", "What the series finds"]
    told += ["separator", '<section class="card">', "<details>"]
    assert (at := [text.index(words) for words in told]) == sorted(at)
    whole = (report / "index.html").read_text()
    assert "failed" not in whole and "that do not hold" not in whole and "at its default" in whole


def test_formulas_are_drawn_by_the_browser_and_code_keeps_its_dollars():
    text = "Let $x_t$ be $a < b$, and `cost $5` or $10.\n\n$$\\frac{a}{b}\\n + c$$\n"
    page = _for_a_page(text)
    assert page.count("<math") == 3 and page.count('display="block"') == 1
    assert "`cost $5`" in page and "$10." in page and "&#x0003C;" in page
    assert _for_a_page("[![Open](https://a/b.svg)](https://c/d) stays") == " stays"


def test_pages_name_their_neighbours(report, tiny_series, tmp_path):
    paths = [tmp_path / f"0{n}_one.ipynb" for n in (1, 2, 3)]
    for path in paths:
        path.write_bytes((report / "01_one.ipynb").read_bytes())
    write_report(dict.fromkeys(paths), tmp_path, {})
    first, second = ((tmp_path / f"0{n}_one.html").read_text() for n in (1, 2))
    assert 'next: <a href="02_one.html"' in first and "before:" not in first
    assert 'before: <a href="01_one.html"' in second and 'next: <a href="03_one.html"' in second
