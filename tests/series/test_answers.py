"""Every question to the reader can be answered as it says: by changing one line and running on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import pytest

from listcomp_utils.config import ConfigError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


@dataclass(frozen=True)
class Answer:
    """What a question asks to change: parameters, or `old` by `new` in one code cell."""

    old: str = ""
    new: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    refused: str = ""
    """What the error says, where the answer is that the change is refused."""
    visible: bool = True
    """False where models as small as the test's may show the same."""


ANSWERS = {
    "01_train": [
        Answer(parameters={"list_len": 3}),
        Answer(parameters={"n_layers": 1}),
        Answer("first == second", "(first - second).abs() == 1"),
    ],
    "02_attention": [
        Answer(parameters={"sample_list": [3, 8]}),
        Answer("rank.argsort()", "torch.arange(hundred.n_digits)"),
        Answer("cut = (1, config.sep_position, 0) if", "cut = (0, config.sep_position, 1) if"),
    ],
    "03_ablation": [
        Answer("cut = (0, config.sep_position, config.sep_position - 1)", "cut = (1, 2, 0)"),
        Answer("place = (1, config.sep_position)", "place = (0, 1)"),
    ],
    "04_representation": [
        Answer(
            "vectors[probed] for place, vectors in separator.items()}",
            "vectors[probed] for place, vectors in separator.items()}"
            ' | {"only d2": torch.nn.functional.one_hot(lists[probed, 1])}',
        ),
        Answer(
            'beside = Config.preset("study" if preset == "seed" else "seed")',
            'beside = Config.preset("ranked")',
        ),
        Answer(
            "fourier_spectrum(rows,",
            "fourier_spectrum(torch.sin(6 * torch.pi * torch.arange(config.n_digits)"
            " / config.n_digits)[:, None],",
        ),
    ],
    "05_circuit": [
        Answer("[[a, b], [b, a]]", "[[a, b], [a, a]]"),
        Answer("content=own, position=exchanged", "content=exchanged, position=own"),
        Answer("a, b = (60, 44) if config.n_digits > 60 else (1, 0)", "a, b = 1, 2"),
    ],
    "06_features": [
        Answer(parameters={"k": 2}),
        Answer("order_maps(first)", "order_maps(matches[1])", visible=False),
    ],
    "07_scaling": [
        Answer(parameters={"list_len": 3}),
        Answer("apart(probe, places=0)", "apart(probe, places=0.5)"),
        Answer('read_table("scaling_positions"), 50', 'read_table("scaling_positions"), 2'),
    ],
    "08_construction": [
        Answer("(8, 3), 1 / 128, 256.0", "(8, 3), 1 / 128, 8.0"),
        Answer(
            "[(config.n_digits, 2, 2),",
            "[(1000, 2, 4), (config.n_digits, 2, 2),",
            refused="at most",
        ),
    ],
}


class Reader:
    """A notebook at its test's settings, cell by cell, in this process."""

    def __init__(
        self, name: str, parameters: dict[str, Any], capsys: pytest.CaptureFixture
    ) -> None:
        self.cells = jupytext.read(NOTEBOOKS / f"{name}.py").cells
        self.parameters, self.capsys = parameters, capsys
        self.space: dict[str, Any] = {"In": []}

    def run(self, number: int, source: str | None = None) -> str:
        """Run a cell, or other source in its place, and what it shows."""
        cell = self.cells[number]
        if cell.cell_type != "code":
            return ""
        self._execute(source or cell.source)
        if "parameters" in cell.metadata.get("tags", []):  # as nbmake and papermill put them in
            values = cell.metadata["nbmake"]["mock"] | self.parameters
            self._execute("\n".join(f"{one} = {value!r}" for one, value in values.items()))
        return self.capsys.readouterr().out

    def _execute(self, source: str) -> None:
        self.space["In"] = [*self.space["In"], source]
        exec(compile(source, "cell", "exec"), self.space)

    def section_end(self, number: int) -> int:
        """The number of the first cell of the next section, or past the last one."""
        later = range(number + 1, len(self.cells))
        return next((n for n in later if "\n## " in f"\n{self.cells[n].source}"), len(self.cells))


def questions(cells: list[Any]) -> list[int]:
    """Numbers of the cells that ask."""
    found = [n for n, cell in enumerate(cells) if "<b>Question" in cell.source]
    return [n for n in found for _ in range(cells[n].source.count("<b>Question"))]


@pytest.mark.parametrize("name", ANSWERS)
def test_each_question_is_answered_by_one_change(name, capsys, runs):
    reader, asked = Reader(name, {}, capsys), None
    asked = questions(reader.cells)
    assert len(asked) == len(ANSWERS[name])
    shown, spaces = [], []
    last = max(
        [reader.section_end(n) for n in asked]
        + [number_of(reader.cells, a.old) + 1 for a in ANSWERS[name] if a.old]
    )
    for number in range(last):
        spaces.append(dict(reader.space))
        shown.append(reader.run(number))
    for at, answer in zip(asked, ANSWERS[name], strict=True):
        if answer.parameters:
            first, other = 0, Reader(name, answer.parameters, capsys)
        else:
            first, other = number_of(reader.cells, answer.old), Reader(name, {}, capsys)
            other.space = dict(spaces[first])
        end, told = max(reader.section_end(at), first + 1), []
        source = reader.cells[first].source
        changed = source.replace(answer.old, answer.new, 1) if answer.old else None
        if answer.refused:
            with pytest.raises(ConfigError, match=answer.refused):
                other.run(first, changed)
            continue
        for number in range(first, end):
            told.append(other.run(number, changed if number == first else None))
        assert told != shown[first:end] or not answer.visible, f"{answer} shows nothing new"


def number_of(cells: list[Any], words: str) -> int:
    """The one code cell that holds these words."""
    (number,) = (n for n, c in enumerate(cells) if c.cell_type == "code" and words in c.source)
    return number


def test_every_notebook_that_asks_is_here():
    asking = {
        path.stem for path in NOTEBOOKS.glob("*.py") if re.search("<b>Question", path.read_text())
    }
    assert asking == set(ANSWERS)
