"""Every question to the reader can be answered as it says: by changing one line and running on."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import pytest

from listcomp_utils.config import ConfigError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
ASKS = "<b>Question"


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
        Answer("place = (0, 0)", "place = (1, config.sep_position)"),
    ],
    "04_representation": [
        Answer(
            "probe_table(at_separator, targets, seed=0)",
            "probe_table(at_separator, targets, seed=0,"
            " classifier=sklearn.linear_model.LogisticRegression(max_iter=2000))",
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
        self, name: str, capsys: pytest.CaptureFixture, parameters: dict[str, Any] | None = None
    ) -> None:
        self.cells = jupytext.read(NOTEBOOKS / f"{name}.py").cells
        self.capsys, self.parameters = capsys, parameters or {}
        self.space: dict[str, Any] = {"In": []}

    def run(self, number: int, old: str = "", new: str = "") -> str:
        """Run a cell, with `new` in place of `old`, and what it shows."""
        cell = self.cells[number]
        if cell.cell_type != "code":
            return ""
        self._execute(cell.source.replace(old, new, 1))
        if "parameters" in cell.metadata.get("tags", []):  # as nbmake and papermill put them in
            values = cell.metadata["nbmake"]["mock"] | self.parameters
            self._execute("\n".join(f"{one} = {value!r}" for one, value in values.items()))
        return self.capsys.readouterr().out

    def _execute(self, source: str) -> None:
        self.space["In"] = [*self.space["In"], source]
        exec(compile(source, "cell", "exec"), self.space)

    def number_of(self, words: str) -> int:
        """The one code cell that holds these words."""
        code = [n for n, cell in enumerate(self.cells) if cell.cell_type == "code"]
        (number,) = (n for n in code if words in self.cells[n].source)
        return number

    def section_end(self, number: int) -> int:
        """The number of the first cell of the next section, or past the last one."""
        later = range(number + 1, len(self.cells))
        return next((n for n in later if "\n## " in f"\n{self.cells[n].source}"), len(self.cells))


@pytest.mark.parametrize("name", ANSWERS)
def test_each_question_is_answered_by_one_change(name, capsys, runs):
    reader = Reader(name, capsys)
    asked = [n for n, cell in enumerate(reader.cells) for _ in re.findall(ASKS, cell.source)]
    parts = []
    for at, answer in zip(asked, ANSWERS[name], strict=True):
        first = reader.number_of(answer.old) if answer.old else 0
        parts.append((answer, first, max(reader.section_end(at), first + 1)))
    shown, spaces = [], []
    for number in range(max(end for _, _, end in parts)):
        spaces.append(dict(reader.space))
        shown.append(reader.run(number))
    for answer, first, end in parts:
        other = Reader(name, capsys, answer.parameters)
        if answer.old:
            other.space = dict(spaces[first])
        if answer.refused:
            with pytest.raises(ConfigError, match=answer.refused):
                other.run(first, answer.old, answer.new)
            continue
        told = [other.run(first, answer.old, answer.new)]
        told += [other.run(number) for number in range(first + 1, end)]
        assert told != shown[first:end] or not answer.visible, f"{answer} shows nothing new"


def test_every_notebook_that_asks_is_here():
    asking = {path.stem for path in NOTEBOOKS.glob("*.py") if ASKS in path.read_text()}
    assert asking == set(ANSWERS)
