"""The outputs' logits without what no output reads: for training architectures beside the study's.

    forward = LeanForward(config, make_native_model(config))
    forward(dict(model.named_parameters()), lists)         # (list, output, vocabulary)

With masked decoding most of a forward pass is spent on positions that nothing reads. Two short
ways, each equal to the native model up to rounding:

- two layers, anything else: layer 0 has one query, SEP, and its keys and values are those of a
  digit at a place, a table as large as the alphabet; layer 1 has the outputs' queries only.
- one head, no LayerNorm, no bias and W_V = W_O = I, any number of layers: the mixtures of
  `circuit`, with every product of two inputs looked up in a table.

Everything is differentiable and works under `torch.func.vmap`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge.sources.native import NativeModel

from listcomp_utils.config import Config
from listcomp_utils.mask import build_mask
from listcomp_utils.model import device_of

LAYER_NORM_EPSILON = 1e-5
"""TransformerLens' default, which this project's models use."""


def has_lean_forward(config: Config) -> bool:
    """Whether `LeanForward` computes this architecture."""
    if config.decoding != "masked" or config.loss_on != "outputs":
        return False
    return config.n_layers == 2 or _is_mixture(config)


def _is_mixture(config: Config) -> bool:
    changed = config.layer_norm or config.bias or config.learn_w_v or config.learn_w_o
    return config.n_heads == 1 and config.positions != "rotary" and not changed


class LeanForward:
    """The outputs' logits of one config, from any weights under the native model's names."""

    def __init__(self, config: Config, model: NativeModel) -> None:
        self.config = config
        device, n = device_of(model), config.list_len
        self._angles = None
        if model.rotary is not None:
            self._angles = (model.rotary.cos_cached, model.rotary.sin_cached)
        # Output o_i may look at SEP (column 0) and at o_j for j < i (column 1 + j).
        self._blocked = ~torch.ones(n, 1 + n, dtype=torch.bool, device=device).tril()
        self._offsets = torch.arange(n, device=device) * config.n_digits
        self._others = torch.arange(1 + n, device=device) + n * config.n_digits
        self._closed = ~build_mask(config).to(device)
        self._itself = torch.eye(config.seq_len, device=device)

    def __call__(
        self, weights: Mapping[str, Tensor], lists: Int[Tensor, "list position"]
    ) -> Float[Tensor, "list output vocabulary"]:
        """The logits at each output."""
        if _is_mixture(self.config):
            return self._mixed(weights, lists)
        return self._two_layers(weights, lists)

    def _two_layers(self, w: Mapping[str, Tensor], lists: Tensor) -> Tensor:
        held, x_sep, x_out = self._inputs(w)
        n, scale = self.config.list_len, self.config.d_head**-0.5
        # Layer 0: SEP looks at the digits; the outputs look at nothing.
        keyed = self._normed(w, held, "layers.0.ln1")
        query = self._heads(w, self._normed(w, x_sep, "layers.0.ln1"), 0, "q", [n])[0]
        keys = self._heads(w, keyed.transpose(0, 1), 0, "k", range(n)).transpose(0, 1)
        table = torch.einsum("hd,pthd->pth", query, keys).flatten(0, 1) * scale
        rows = lists + self._offsets
        alpha = _rows(table, rows).softmax(1)
        values = _rows(self._applied(w, keyed, 0, "v").flatten(0, 1), rows)
        mixed = (alpha[..., None] * values.unflatten(-1, (self.config.n_heads, -1))).sum(1)
        separator = x_sep + self._applied(w, mixed.flatten(-2), 0, "o")
        out = x_out + w["layers.0.attn.o.bias"]
        # Layer 1: the outputs look at SEP and at the outputs before them.
        places = range(n + 1, 2 * n + 1)
        sep, outs = (self._normed(w, x, "layers.1.ln1") for x in (separator, out))
        queries = self._heads(w, outs, 1, "q", places)
        at_sep = torch.einsum(
            "ihd,bhd->bih", queries, self._heads(w, sep[:, None], 1, "k", [n])[:, 0]
        )
        at_out = torch.einsum("ihd,jhd->ijh", queries, self._heads(w, outs, 1, "k", places))
        at_out = at_out.expand(len(lists), -1, -1, -1)
        scores = torch.cat([at_sep[:, :, None], at_out], 2) * scale
        beta = scores.masked_fill(self._blocked[..., None], -torch.inf).softmax(2)
        value, others = (
            self._applied(w, x, 1, "v").unflatten(-1, (self.config.n_heads, -1))
            for x in (sep, outs)
        )
        moved = beta[:, :, 0, :, None] * value[:, None]
        moved = moved + torch.einsum("bijh,jhd->bihd", beta[:, :, 1:], others)
        final = out + self._applied(w, moved.flatten(-2), 1, "o")
        return F.linear(self._normed(w, final, "ln_out"), w["head.weight"], w.get("head.bias"))

    def _mixed(self, w: Mapping[str, Tensor], lists: Tensor) -> Tensor:
        held, x_sep, x_out = self._inputs(w)
        inputs = torch.cat([held.flatten(0, 1), x_sep, x_out])
        others = self._others.expand(len(lists), -1)
        rows = torch.cat([lists + self._offsets, others], 1)
        first, last = self.config.output_positions.start, self.config.n_layers - 1
        mixture = self._itself.to(inputs).expand(len(lists), -1, -1)
        for layer in range(self.config.n_layers):
            query, key = (
                F.linear(inputs, w[f"layers.{layer}.attn.{part}.weight"]) for part in "qk"
            )
            table = query @ key.T * self.config.d_head**-0.5
            products = _rows(table.flatten(), rows[:, :, None] * len(inputs) + rows[:, None])
            # No later layer reads the digits and SEP after the last one.
            asking = slice(first if layer == last else 0, None)
            scores = mixture[:, asking] @ products @ mixture.mT if layer else products[:, asking]
            closed = self._closed[layer, asking]
            pattern = scores.masked_fill(closed, torch.finfo(scores.dtype).min).softmax(-1)
            # The smallest number and not -inf, which would give an empty row no gradient but NaN.
            pattern = pattern.masked_fill(closed, 0.0)
            mixture = mixture[:, asking] + pattern @ mixture
        unembedded = F.linear(inputs, w["head.weight"])
        return mixture @ _rows(unembedded, rows)

    def _inputs(self, w: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """What a digit at a place, SEP and the outputs hold before layer 0."""
        config, embed = self.config, w["tok_embed.weight"]
        n, places = config.list_len, w.get("pos.weight")
        if places is None:
            places = embed.new_zeros(config.seq_len, config.d_model)
        held = embed[: config.n_digits] + places[:n, None]
        return (
            held,
            embed[config.sep_id] + places[n : n + 1],
            embed[config.mask_id] + places[n + 1 :],
        )

    def _normed(self, w: Mapping[str, Tensor], x: Tensor, name: str) -> Tensor:
        if not self.config.layer_norm:
            return x
        gain, shift = w[f"{name}.weight"], w[f"{name}.bias"]
        return F.layer_norm(x, x.shape[-1:], gain, shift, LAYER_NORM_EPSILON)

    def _applied(self, w: Mapping[str, Tensor], x: Tensor, layer: int, part: str) -> Tensor:
        """A linear map of the attention; a frozen identity costs nothing."""
        name = f"layers.{layer}.attn.{part}"
        frozen = (part == "v" and not self.config.learn_w_v) or (
            part == "o" and not self.config.learn_w_o
        )
        if not frozen:
            return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])
        return x + w[f"{name}.bias"] if self.config.bias else x

    def _heads(
        self, w: Mapping[str, Tensor], x: Tensor, layer: int, part: str, places: range | list[int]
    ) -> Tensor:
        """Queries or keys (..., place, head, d_head) of vectors at these positions."""
        vectors = self._applied(w, x, layer, part).unflatten(-1, (self.config.n_heads, -1))
        if self._angles is None:
            return vectors
        cos, sin = (angle[list(places)][:, None].to(vectors) for angle in self._angles)
        turned = torch.stack((-vectors[..., 1::2], vectors[..., 0::2]), -1).flatten(-2)
        return vectors * cos + turned * sin


def _rows(table: Tensor, rows: Tensor) -> Tensor:
    """Rows of a table by their numbers, in the numbers' shape."""
    return table.index_select(0, rows.flatten()).unflatten(0, rows.shape)
