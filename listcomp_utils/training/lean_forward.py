"""The outputs' logits under masked decoding, without what no output reads: made for training.

    forward = LeanForward(model)                           # a native model, of any architecture
    forward(dict(model.named_parameters()), lists)         # (output, list, vocabulary)

Most of a forward pass is spent on positions that nothing reads. Here each layer computes the
positions that a later one reads: SEP and the digits where SEP still gathers, the outputs from layer
1 on; and what is alike in all lists is computed once. Queries meet the residual stream through
W_Q W_K^T, so that keys are never made, and values are mixed before W_V.

With one head, no LayerNorm, no bias and W_V = W_O = I, vectors are sums of inputs. Before two such
layers every input is read, by the queries and the unembedding, and what was read is summed. Deeper
models run on the mixtures of `circuit.formula` in place of residual vectors: how much of each input
a position holds, 2 list_len + 1 numbers for d_model.

Equal to the native model up to rounding, differentiable, and fit for `torch.func.vmap`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge.sources.native import NativeModel

from listcomp_utils.config import PLAIN_LAYERS, Config
from listcomp_utils.mask import build_mask
from listcomp_utils.model import config_of, device_of

Weights = Mapping[str, Tensor]
"""Weights under the native model's names."""


def has_lean_forward(config: Config) -> bool:
    """Whether `LeanForward` computes what training this config needs: masked, loss on outputs."""
    return config.decoding == "masked" and config.loss_on == "outputs"


class LeanForward:
    """The outputs' logits of one architecture, from any weights.

    Vectors are (place, list, d_model); a list dimension of 1 is alike in all lists.
    """

    def __init__(self, model: NativeModel) -> None:
        self.config = config = config_of(model)
        n, device = config.list_len, device_of(model)
        self._epsilon = model.cfg.eps
        # The places of queries and keys in each step of a layer; outputs write from layer 1 on.
        self._places = {
            "gather": (slice(n + 1), slice(n)),
            "SEP": (slice(n, n + 1), slice(n)),
            "write": (slice(n + 1, None), slice(n, None)),
        }
        blocked = ~build_mask(config)[-1].to(device)[:, None, :, None]
        self._closed = {step: blocked[at, :, held] for step, (at, held) in self._places.items()}
        self._angles = None
        if model.rotary is not None:
            angles = torch.stack([model.rotary.cos_cached, model.rotary.sin_cached])
            self._angles = angles[:, :, None, None]
        self._plain = config.n_heads == 1 and config.n_layers > 1 and self._angles is None
        self._plain &= not any(getattr(config, name) for name in PLAIN_LAYERS)
        # The inputs of plain layers in one table: the digits at each place, SEP, the outputs.
        end = n * config.n_digits
        rows = [*range(0, end, config.n_digits), *range(end, end + n + 1)]
        self._first_rows = torch.tensor(rows, device=device)
        self._mixtures = torch.eye(config.seq_len, device=device)[:, None]

    def __call__(
        self, w: Weights, lists: Int[Tensor, "list position"]
    ) -> Float[Tensor, "output list vocabulary"]:
        """The logits at each output, outputs first."""
        n, n_layers = self.config.list_len, self.config.n_layers
        tokens, places = w["tok_embed.weight"], w.get("pos.weight")
        if places is None:
            places = tokens.new_zeros(self.config.seq_len, self.config.d_model)
        # Parts of one split cost less to differentiate than as many slices.
        digit_tokens, mask_token, sep_token = tokens.split([self.config.n_digits, 1, 1])
        digit_places, sep_place, out_places = places.unsqueeze(1).split([n, 1, n])
        sep, outs = sep_token + sep_place, mask_token + out_places
        if not self._plain:
            digits = F.embedding(lists.T, digit_tokens) + digit_places
            outs = self._attended(w, digits, sep, outs, [None] * n_layers)
            outs = self._normed(w, outs, "ln_out").expand(-1, len(lists), -1)
            return F.linear(outs, w["head.weight"], w.get("head.bias"))
        alphabet = (digit_tokens + digit_places).flatten(0, 1)
        inputs = torch.cat([alphabet, sep[0], outs[:, 0]])
        if n_layers == 2:
            return self._two_plain_layers(w, inputs, lists)
        # The scores between the inputs of each list (list, place, place), looked up in tables.
        rows = F.pad(lists, (0, n + 1)) + self._first_rows
        pairs = rows[:, :, None] * len(inputs) + rows[:, None]
        tables = (self._meet(w, layer, inputs).squeeze(1) @ inputs.T for layer in range(n_layers))
        forms = [_rows(table.flatten(), pairs) for table in tables]
        digits, sep, outs = self._mixtures.to(inputs).split([n, 1, n])
        outs = self._attended(w, digits.expand(-1, len(lists), -1), sep, outs, forms)
        unembedded = F.linear(inputs, w["head.weight"])
        return (outs.transpose(0, 1) @ _rows(unembedded, rows)).transpose(0, 1)

    def _two_plain_layers(
        self, w: Weights, inputs: Float[Tensor, "_ d_model"], lists: Int[Tensor, "list position"]
    ) -> Float[Tensor, "output list vocabulary"]:
        """Two layers, each input read by SEP's query, the outputs' queries and the unembedding."""
        n = self.config.list_len
        kinds = [len(inputs) - n - 1, 1, n]
        _, sep, outs = inputs.split(kinds)
        asked = [self._meet(w, layer, x).squeeze(1) for layer, x in enumerate((sep, outs))]
        read = F.linear(inputs, torch.cat([*asked, w["head.weight"]]))
        alphabet, sep, outs = read.split(kinds)
        digits = _rows(alphabet, lists.T + self._first_rows[:n, None])
        sep = sep + (digits[..., :1].softmax(0) * digits).sum(0)
        (_, sep_scores, sep), (_, out_scores, outs) = (
            x.split([1, n, self.config.d_vocab], 1) for x in (sep, outs)
        )
        out_scores = out_scores.T[..., None].expand(-1, -1, len(lists))
        scores = torch.cat([sep_scores.T[:, None], out_scores], 1)
        scores = scores.masked_fill(self._closed["write"][:, 0], -torch.inf)
        to_sep, to_outs = scores.softmax(1).mT.split([1, n], 2)
        own = self._mixtures[n + 1 :, :, n + 1 :]
        return torch.addcmul((to_outs + own) @ outs, to_sep, sep)

    def _attended(
        self, w: Weights, digits: Tensor, sep: Tensor, outs: Tensor, forms: Sequence[Tensor | None]
    ) -> Float[Tensor, "output #list d_model"]:
        """The outputs after all layers; mixtures need each layer's `form`, other vectors None."""
        n, last = self.config.list_len, self.config.n_layers - 1
        for layer, form in enumerate(forms):
            d, s, o = (self._normed(w, x, f"layers.{layer}.ln1") for x in (digits, sep, outs))
            if layer:
                outs = outs + self._moved(w, layer, o, [s, o], "write", form)
            elif self.config.bias:
                outs = outs + w["layers.0.attn.o.bias"]
            if layer < last - 1:
                both = torch.cat([d, s.expand(1, d.shape[1], -1)])
                moved = self._moved(w, layer, both, [d], "gather", form)
                digits, sep = digits + moved[:n], sep + moved[n:]
            elif layer < last:
                sep = sep + self._moved(w, layer, s, [d], "SEP", form)
        return outs

    def _meet(self, w: Weights, layer: int, queries: Float[Tensor, "row d_model"]) -> Tensor:
        """Queries times W_Q W_K^T of each head (row, head, d_model): what meets residual vectors.

        A key bias adds the same to all scores of a query and is left out.
        """
        name, heads = f"layers.{layer}.attn", self.config.n_heads
        queries = queries * self.config.d_head**-0.5
        w_q, w_k = (w[f"{name}.{part}.weight"] for part in "qk")
        met = [
            queries @ q.T @ k if len(queries) < self.config.d_model else queries @ (q.T @ k)
            for q, k in zip(w_q.chunk(heads), w_k.chunk(heads), strict=True)
        ]
        if self.config.bias:
            shift = (w[f"{name}.q.bias"] * self.config.d_head**-0.5).chunk(heads)
            met = [x + b @ k for x, b, k in zip(met, shift, w_k.chunk(heads), strict=True)]
        return met[0].unsqueeze(1) if heads == 1 else torch.stack(met, 1)

    def _moved(
        self,
        w: Weights,
        layer: int,
        queries: Float[Tensor, "query #list d_model"],
        sources: Sequence[Float[Tensor, "_ #list d_model"]],
        step: str,
        form: Float[Tensor, "list place place"] | None,
    ) -> Float[Tensor, "query list d_model"]:
        """What attention adds at the queries; `step` says which look at which."""
        config, name = self.config, f"layers.{layer}.attn"
        if self._angles is not None:
            scores = self._rotary_scores(w, layer, queries, sources, step)
        else:
            if form is None:
                asked = self._meet(w, layer, queries.flatten(0, 1))
                asked = asked.unflatten(0, queries.shape[:2]).transpose(1, 2)
            else:
                queries = queries.expand(-1, len(form), -1)
                asked = torch.einsum("ibs,bst->ibt", queries, form)[:, None]
            scores = [_scores(asked, source) for source in sources]
        joined = scores[0]
        if len(scores) > 1:
            count = max(score.shape[-1] for score in scores)
            joined = torch.cat([score.expand(*score.shape[:-1], count) for score in scores], 2)
        if step != "SEP":  # which looks at every digit
            joined = joined.masked_fill(self._closed[step], -torch.inf)
        pattern = joined.softmax(2).split([len(source) for source in sources], 2)
        parts = [_mixed(part, source) for part, source in zip(pattern, sources, strict=True)]
        mixed = sum(parts[1:], parts[0])
        if config.learn_w_v:
            w_v = w[f"{name}.v.weight"].unflatten(0, (config.n_heads, -1))
            mixed = torch.einsum("ihbe,hde->ibhd", mixed, w_v).flatten(2)
        elif config.n_heads > 1:  # each head of an identity takes coordinates of its own
            mixed = mixed.unflatten(-1, (config.n_heads, -1)).diagonal(dim1=1, dim2=3).mT.flatten(2)
        else:
            mixed = mixed.squeeze(1)
        if config.bias:
            mixed = mixed + w[f"{name}.v.bias"]
        if config.learn_w_o:
            mixed = F.linear(mixed, w[f"{name}.o.weight"])
        return mixed + w[f"{name}.o.bias"] if config.bias else mixed

    def _rotary_scores(
        self, w: Weights, layer: int, queries: Tensor, sources: Sequence[Tensor], step: str
    ) -> list[Float[Tensor, "query head key list"]]:
        asking, held = (self._angles[:, places] for places in self._places[step])

        def heads(x: Tensor, part: str, angles: Tensor) -> Float[Tensor, "place list head d_head"]:
            name = f"layers.{layer}.attn.{part}"
            x = F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"] if self.config.bias else None)
            x = x.unflatten(-1, (self.config.n_heads, -1))
            turned = torch.stack((-x[..., 1::2], x[..., 0::2]), -1).flatten(-2)
            cos, sin = angles.to(x)
            return x * cos + turned * sin

        asked = heads(queries, "q", asking) * self.config.d_head**-0.5
        angles = held.split([len(source) for source in sources], 1)
        keys = [heads(source, "k", at) for source, at in zip(sources, angles, strict=True)]
        return [(asked[:, None] * key).sum(-1).movedim(3, 1) for key in keys]

    def _normed(self, w: Weights, x: Tensor, name: str) -> Tensor:
        if not self.config.layer_norm:
            return x
        gain, shift = w[f"{name}.weight"], w[f"{name}.bias"]
        return F.layer_norm(x, x.shape[-1:], gain, shift, self._epsilon)


def _scores(
    asked: Float[Tensor, "query head #list d"], source: Float[Tensor, "key #list d"]
) -> Float[Tensor, "query head key list"]:
    """Products of queries and sources; a matrix product where one of them is alike in all lists."""
    if asked.shape[2] == 1:
        flat = source @ asked.flatten(0, 2).T
        return flat.unflatten(-1, asked.shape[:2]).permute(2, 3, 0, 1)
    if source.shape[1] == 1:
        return (asked @ source.squeeze(1).T).mT
    return (asked[:, :, None] * source).sum(-1)


def _mixed(
    pattern: Float[Tensor, "query head key list"], source: Float[Tensor, "key #list d"]
) -> Float[Tensor, "query head list d"]:
    """Sources weighted by attention. Multiplying and adding is quicker than many tiny products."""
    if source.shape[1] == 1:
        return pattern.mT @ source.squeeze(1)
    if len(source) == 1:
        return pattern.mT * source.squeeze(0)
    return (pattern[..., None] * source).sum(2)


def _rows(table: Tensor, rows: Tensor) -> Tensor:
    """Rows of a table by their numbers, in the numbers' shape."""
    return table.index_select(0, rows.flatten()).unflatten(0, rows.shape)
