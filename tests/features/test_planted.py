"""Planted dictionaries are made of what is said, and recovered."""

import torch

from listcomp_utils.features.planted import planted_vectors, recover


def test_planted_dictionaries_are_recovered():
    vectors, digits, axis = planted_vectors(30, 32, 0.5, seed=0)
    assert vectors.shape == (450, 32) and digits.shape == (30, 32)
    # Every vector is two digits, whose weights sum to 1, and some of the axis.
    basis = torch.cat([digits, axis[None]])
    weights = torch.linalg.lstsq(basis.T, vectors.T).solution
    torch.testing.assert_close(weights.T @ basis, vectors, atol=1e-5, rtol=0)
    torch.testing.assert_close(weights[:30].sum(0), torch.ones(450))
    settings = {"n_digits": 30, "d_model": 32, "share": 0.5, "seed": 0}
    found = recover({**settings, "steps": 1200})
    assert found["digits_found"] >= 0.9 and found["order_found"] is True
    untrained = recover({**settings, "steps": 1})
    assert untrained["digits_found"] <= 0.1 and untrained["order_found"] is False
