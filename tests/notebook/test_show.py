"""What a notebook shows: figures as slim JSON with words beside them, tables that escape."""

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from listcomp_utils.files import HEADLESS_VARIABLE, REPORT_VARIABLE
from listcomp_utils.notebook import show as module
from listcomp_utils.notebook.show import METADATA_KEY, PLOTLY_MIME, show, show_frame, slim_json

MAP = go.Heatmap(z=np.array([[1 / 3, np.nan], [2, 3]]), x=["a", "b"])
FIGURE = go.Figure(MAP, layout_title_text="Map")


def test_a_figure_is_shown_as_json_with_its_words_and_no_picture(displayed):
    show(FIGURE, alt="Two bars.", main=True, interactive=False)
    data, more = displayed[0]
    assert set(data) == {PLOTLY_MIME, "text/plain"}
    assert data["text/plain"] == "Figure: Two bars."
    note = more["metadata"][METADATA_KEY]
    assert note == {"alt": "Two bars.", "main": True, "interactive": False}


def test_saved_figures_are_plain_rounded_json_with_their_theme():
    slim = slim_json(go.Figure(FIGURE, layout_template="simple_white"))
    assert "bdata" not in json.dumps(slim)
    assert slim["layout"]["template"]["layout"]["plot_bgcolor"] == "white"
    assert slim["data"][0]["z"] == [[0.3333, None], [2, 3]]
    assert go.Figure(slim).layout.title.text == "Map"


def test_tables_escape_what_html_would_swallow(displayed):
    """An edge is printed `o2<-o1`."""
    show_frame(pd.DataFrame({"a<b": ["L0 SEP<-d2"], "share": [0.12345], "lists": [10_000]}))
    page, text = (displayed[0][0][kind] for kind in ("text/html", "text/plain"))
    assert "L0 SEP&lt;-d2" in page and "a&lt;b" in page
    assert "0.1235<" in page and "10,000<" in page
    assert "0.1235" in text and "L0 SEP<-d2" in text
    show_frame(pd.DataFrame({"a": [float("nan")]}), digits=1)
    assert "nan" not in displayed[1][0]["text/html"].lower()


def test_a_table_of_the_record_is_folded_under_its_words(displayed):
    show_frame(pd.DataFrame({"a": [1]}), folded="all <seeds>")
    page = displayed[0][0]["text/html"]
    assert page.startswith("<details><summary>all &lt;seeds&gt;</summary><table")
    assert page.endswith("</table></details>") and "details" not in displayed[0][0]["text/plain"]


def test_attention_heads_are_a_page_of_their_own(displayed, monkeypatch, tmp_path):
    monkeypatch.setenv(REPORT_VARIABLE, str(tmp_path))
    monkeypatch.setenv(HEADLESS_VARIABLE, "1")
    module.show_attention_heads(np.eye(2)[None], ["a", "b"], ["layer 0"], name="heads")
    page = (tmp_path / "heads.html").read_text()
    assert page.startswith('<!doctype html>\n<html lang="en">') and "<title>Interactive" in page
    data, more = displayed[0]
    assert more["metadata"][METADATA_KEY]["page"] == "heads.html" and "heads.html" in str(data)
