"""What the series found, in words: numbers come from the claims and nowhere else."""

import pytest

from listcomp_utils.series import summary


def claims_with(value):
    """Every claim that the answer or the key results name, all of one value."""
    named = {notebook: set(names) for notebook, names in summary.KEY.items()}
    named["05_circuit"] |= {
        "o2 right with the moderation of the reversed list",
        "o2 right without the position difference",
        "held-out lists right",
    }
    named["08_construction"] |= {
        "ranked: seeds with .999 of held-out lists right, share",
        "ranked: five of 30 digits, held-out lists right, lowest seed",
        "study preset, held-out lists right, mean of seeds",
    }
    rest = dict(value=value, expected="", holds=None)
    return {name: [dict(name=one, **rest) for one in sorted(some)] for name, some in named.items()}


def test_the_answer_is_five_sentences_with_the_claims_numbers():
    text = summary.answer(claims_with(0.4321))
    assert "".join(line[:2] for line in text.splitlines() if line[0] != " ") == "1.2.3.4.5."
    assert text.count("43.2%") == 9 and "0.4321" in text
    assert max(map(len, text.splitlines())) <= summary.WIDTH
    assert "100% of its seeds" in " ".join(summary.answer(claims_with(1.0)).split())


def test_a_claim_that_is_gone_is_not_passed_over():
    claims = claims_with(0.5)
    claims["05_circuit"] = claims["05_circuit"][1:]
    with pytest.raises(KeyError):
        summary.key_results(claims) + summary.answer(claims)


def test_tables_escape_and_name_their_notebooks():
    claims = claims_with(0.57566)
    rows = summary.key_results(claims).splitlines()
    assert rows[0] == "| notebook | figure | value | expected |"
    assert len(rows) == 2 + sum(map(len, summary.KEY.values())) == 22
    assert rows[2].startswith("| 01_train | ") and "| 0.5757 | shown |" in rows[2]
    record = summary.record({"01_train": [dict(name="a|b", value=2203, expected="", holds=None)]})
    assert "## 01_train" in record and "| a\\|b | 2,203 | shown |" in record
