"""What a notebook claims, checked: one table, one JSON record a run.

check_claims("01_train", [at_least("lists right", 1.0, 1.0, established), shown("steps", 300)])
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

CLAIMS_MIME = "application/vnd.listcomp.claims+json"
VERDICTS = {True: "yes", False: "no", None: "shown"}


@dataclass(frozen=True)
class Claim:
    """One figure of a run and what it was expected to be; `holds` is None when it is only shown."""

    name: str
    value: float | int | str
    expected: str
    holds: bool | None


class ClaimError(AssertionError):
    """At least one claim of a notebook does not hold."""


def at_least(name: str, value: float, bound: float, applies: bool = True) -> Claim:
    """`value` is `bound` or more; only shown when the claim was not established for this run."""
    return Claim(name, value, f">= {bound:g}", bool(value >= bound) if applies else None)


def at_most(name: str, value: float, bound: float, applies: bool = True) -> Claim:
    """`value` is `bound` or less; only shown when the claim was not established for this run."""
    return Claim(name, value, f"<= {bound:g}", bool(value <= bound) if applies else None)


def equals(name: str, value: Any, expected: Any, applies: bool = True, within: float = 0) -> Claim:
    """`value` is `expected`, for numbers up to `within`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        right = math.isclose(value, expected, rel_tol=0, abs_tol=within)
    else:
        right = value == expected
    text = f"{expected:g} ± {within:g}" if within else format_value(expected)
    return Claim(name, value, text, bool(right) if applies else None)


def shown(name: str, value: Any) -> Claim:
    """A figure that is reported without an expectation."""
    return Claim(name, value, "", None)


def check_claims(notebook: str, claims: Sequence[Claim]) -> None:
    """Display the claims, record them in the notebook, and raise ClaimError when one fails.

    A number that is not finite is said to be untested: there was nothing to measure.
    """
    import pandas as pd

    from listcomp_utils.notebook.show import show_frame

    claims = [
        replace(claim, value="untested")
        if isinstance(claim.value, float) and not math.isfinite(claim.value)
        else claim
        for claim in claims
    ]
    table = pd.DataFrame(
        [[c.name, format_value(c.value), c.expected or "shown", VERDICTS[c.holds]] for c in claims],
        columns=["claim", "value", "expected", "holds"],
    )
    record = {"notebook": notebook, "claims": [asdict(claim) for claim in claims]}
    show_frame(table, beside={CLAIMS_MIME: record})
    failed = [
        f"{claim.name}: {format_value(claim.value)}, expected {claim.expected}"
        for claim in claims
        if claim.holds is False
    ]
    if failed:
        raise ClaimError("; ".join(failed))


def outputs_with(notebook: Mapping[str, Any], mime: str) -> list[dict[str, Any]]:
    """The outputs of an executed notebook (nbformat 4) that hold this MIME type."""
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", []))
    return [output for output in outputs if mime in output.get("data", {})]


def recorded_claims(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The claims that an executed notebook recorded, as plain values."""
    outputs = outputs_with(notebook, CLAIMS_MIME)
    return [dict(claim) for one in outputs for claim in one["data"][CLAIMS_MIME]["claims"]]


def format_value(value: Any) -> str:
    """A value as the tables print it: whole numbers whole, others to four digits."""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def spread(values: Iterable[float], digits: int = 3) -> str:
    """The mean of a figure over seeds and, of several, its range; seeds without it are left out."""
    values = [value for value in map(float, values) if not math.isnan(value)]
    if not values:
        return "untested"
    mean, *ends = (f"{x:.{digits}f}" for x in (sum(values) / len(values), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} ({ends[0]} to {ends[1]})"
