"""Claims are of the model that was asked for, or say of which and are not checked."""

import pytest

from listcomp_utils.circuit.subject import subject_of
from listcomp_utils.config import Config, ConfigError
from listcomp_utils.notebook.claims import at_least, equals, shown

CLAIMS = [at_least("x", 2, 1), equals("y", 1, 2), shown("z", 3)]
STUDY = Config.preset("study", device="cpu")


@pytest.mark.parametrize("changes", [{}, {"n_digits": 8}, {"seed": 3}])
def test_a_model_with_the_mechanism_is_the_subject_and_its_claims_are_checked(changes):
    config = STUDY.replace(**changes)
    for checkpoint in (None, "released.pt"):
        subject = subject_of(config, checkpoint)
        assert subject.config == subject.formula == config and not subject.because
        assert subject.claims(CLAIMS, subject.config) == CLAIMS


@pytest.mark.parametrize(
    ("preset", "changes", "named"),
    [
        ("seed", {}, "layer_norm=True"),
        ("study", {"n_heads": 2}, "n_heads=2"),
        ("study", {"n_layers": 3}, "n_layers=3"),
        ("study", {"list_len": 3, "n_digits": 5}, "list_len=3"),
        ("study", {"decoding": "autoregressive"}, "decoding=autoregressive"),
    ],
)
def test_no_claim_of_a_stand_in_holds_for_the_model_asked_for(preset, changes, named):
    asked = Config.preset(preset, device="cpu", **changes)
    subject = subject_of(asked)
    assert subject.config == STUDY and named in subject.because
    for claim, given in zip(subject.claims(CLAIMS, STUDY), CLAIMS, strict=True):
        assert claim.holds is None and claim.value == given.value
        assert claim.name == f"{STUDY.slug}: {given.name}"
    with pytest.raises(ConfigError, match=f"'released.pt' cannot be analysed.*{named}"):
        subject_of(asked, "released.pt")


def test_the_closed_form_stays_with_the_model_asked_for_where_it_holds():
    deeper, headed = STUDY.replace(n_layers=3), STUDY.replace(n_heads=2)
    assert subject_of(deeper).claims(CLAIMS, subject_of(deeper).formula) == CLAIMS
    assert subject_of(headed).formula == STUDY
