"""What the chapter's tests share: weights that copy every list."""

import pytest
import torch

from listcomp_utils.circuit.formula import weights_of
from listcomp_utils.config import Config
from listcomp_utils.construction.proof import hand_built


@pytest.fixture(scope="session")
def by_hand():
    """A function that makes weights which copy every list, of so many digits and this width."""

    def make(n_digits, d_model=8):
        config = Config.preset("study", n_digits=n_digits, d_model=d_model, device="cpu")
        return weights_of(hand_built(config), torch.float64)

    return make
