"""The masks, as the seed notebook and the published study define them."""

import pytest
import torch

from listcomp_utils.config import Config
from listcomp_utils.mask import build_mask, edge_label, edges


def rows(mask):
    return ["".join(".x"[int(cell)] for cell in row) for row in mask]


def test_seed_mask():
    mask = build_mask(Config.preset("seed"))
    assert rows(mask[0]) == ["x....", "xx...", "xxx..", "..xx.", "..xxx"]
    assert torch.equal(mask[0], mask[1])


def test_study_mask_differs_in_layer_0():
    mask = build_mask(Config.preset("study", n_layers=3))
    assert rows(mask[0]) == ["x....", "x....", "xx...", ".....", "....."]
    assert rows(mask[1]) == ["x....", "x....", "xx...", "..x..", "..xx."]
    assert torch.equal(mask[1], mask[2])


@pytest.mark.parametrize("decoding", ["autoregressive", "masked"])
@pytest.mark.parametrize("list_len", [1, 2, 4])
def test_outputs_never_see_digits(decoding, list_len):
    config = Config(decoding=decoding, list_len=list_len, n_layers=3)
    mask = build_mask(config)
    assert not mask[:, config.output_positions][:, :, config.digit_positions].any()
    assert not mask.triu(1).any()
    assert mask[1:, config.output_positions, config.sep_position].all()


def test_edges_and_their_names():
    config = Config.preset("study")
    named = [edge_label(config, edge) for edge in edges(build_mask(config))]
    assert named[:4] == ["L0 d1<-d1", "L0 d2<-d1", "L0 SEP<-d1", "L0 SEP<-d2"]
    assert "L1 o2<-o1" in named and len(named) == 11
