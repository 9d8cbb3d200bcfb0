"""Claims: checked when they apply, shown when not, recorded always."""

import pytest

from listcomp_utils.notebook import claims
from listcomp_utils.notebook.claims import at_least, at_most, equals, format_value, shown, spread


def test_verdicts():
    assert at_least("a", 1.0, 1.0).holds and not at_least("a", 0.9, 1.0).holds
    assert at_most("a", 0.5, 0.59).holds and not at_most("a", 0.6, 0.59).holds
    assert equals("a", 0.5001, 0.5, within=1e-3).holds and not equals("a", 0.51, 0.5).holds
    assert equals("a", "x", "x").holds and not equals("a", True, False).holds
    assert not at_least("a", float("nan"), 0).holds
    assert shown("a", 3).holds is None
    assert at_least("a", 0.1, 1.0, applies=False).holds is None


def test_a_failed_claim_raises_after_the_table_is_shown(displayed):
    with pytest.raises(claims.ClaimError, match="lists right: 0.5, expected >= 1"):
        claims.check_claims("01", [at_least("lists right", 0.5, 1.0), shown("steps", 3)])
    ((data, _),) = displayed
    record = data[claims.CLAIMS_MIME]
    assert record["notebook"] == "01"
    assert [claim["holds"] for claim in record["claims"]] == [False, None]
    assert "lists right   0.5" in data["text/plain"]
    assert "&gt;= 1" in data["text/html"]


def test_values_as_printed():
    printed = [format_value(value) for value in (1.0, 0.57566, 2203, "x", True)]
    assert printed == ["1", "0.5757", "2,203", "x", "True"]


def test_figures_over_seeds_have_a_mean_and_a_range():
    assert spread([0.5]) == "0.500" and spread([1, 3], 0) == "2 (1 to 3)"
    assert spread([1, float("nan")], 0) == "1" and spread([float("nan")]) == "untested"


def test_what_could_not_be_measured_is_said_to_be_untested(displayed):
    claims.check_claims("01", [shown("slope", float("nan")), shown("steps", 3)])
    ((data, _),) = displayed
    values = [claim["value"] for claim in data[claims.CLAIMS_MIME]["claims"]]
    assert values == ["untested", 3]
