"""Loss and gradient of the study's architecture, for many models at once and without autograd.

weights = stack_weights([make_native_model(config.replace(seed=s)) for s in range(8)])
copier = FastCopier(config, weights)            # weights: name -> (model, ...)
losses = copier.loss_and_gradients(lists)       # lists (model, list, position) -> (model,)
copier.gradients["head.weight"]                 # (model, vocabulary, d_model)

With masked decoding, two layers, one head, learned positions, no LayerNorm, no bias and
W_V = W_O = I, an output's logits follow in closed form from SEP's vector after layer 0:

    r   = x_SEP + sum_i alpha_i (E[d_i] + P_i)           alpha = softmax_i(q_SEP . k_i)
    y_i = x_oi + beta_i0 r + sum_{j<i} beta_ij x_oj      beta  = softmax over SEP, o1 .. o(i-1)
    logits_i = y_i U^T

No other position is ever read (see `mask`), so that the five-position forward pass, most of a
training step, can be left out. The gradient is written out by hand; a test holds both against
the native model and autograd.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from listcomp_utils.config import Config

EMBED, POSITIONS, UNEMBED = "tok_embed.weight", "pos.weight", "head.weight"
Q0, K0 = "layers.0.attn.q.weight", "layers.0.attn.k.weight"
Q1, K1 = "layers.1.attn.q.weight", "layers.1.attn.k.weight"
NAMES = (EMBED, POSITIONS, Q0, K0, Q1, K1, UNEMBED)


def has_closed_form(config: Config) -> bool:
    """Whether `FastCopier` computes this architecture."""
    return (
        config.decoding == "masked"
        and config.loss_on == "outputs"
        and config.n_layers == 2
        and config.n_heads == 1
        and config.positions == "learned"
        and not (config.layer_norm or config.bias or config.learn_w_v or config.learn_w_o)
    )


class FastCopier:
    """Models of one closed-form config, stacked; weights under the native model's names.

    `weights` are used in place: an optimiser may step them between calls. `gradients` holds those
    of the last `loss_and_gradients`, whose next call overwrites them.
    """

    def __init__(
        self,
        config: Config,
        weights: Mapping[str, Float[Tensor, "model ..."]],
        gradients: Mapping[str, Float[Tensor, "model ..."]] | None = None,
        buffers: dict[str, Tensor] | None = None,
    ) -> None:
        self.config = config
        self.weights = {name: weights[name] for name in NAMES}
        if gradients is None:
            gradients = {name: torch.zeros_like(weights[name]) for name in NAMES}
        self.gradients = {name: gradients[name] for name in NAMES}
        self._buffers = {} if buffers is None else buffers
        self._scale = config.d_head**-0.5
        n, embed = config.list_len, weights[EMBED]
        # Output o_i may look at SEP (column 0) and at o_j for j < i (column 1 + j).
        self._blocked = ~torch.ones(n, 1 + n, dtype=torch.bool, device=embed.device).tril()
        self._itself = torch.eye(n, device=embed.device, dtype=embed.dtype)

    @torch.no_grad()
    def logits(
        self, lists: Int[Tensor, "model list position"]
    ) -> Float[Tensor, "position model list vocabulary"]:
        """Logits at each output, outputs first; overwritten by the next call of any method."""
        return self._forward(lists)["logits"]

    @torch.no_grad()
    def loss_and_gradients(
        self, lists: Int[Tensor, "model list position"]
    ) -> Float[Tensor, "model"]:
        """Mean cross entropy (nats) of each model on its own lists; fills `gradients`."""
        run = self._forward(lists)
        _, count, n = lists.shape
        targets = lists.permute(2, 0, 1)[..., None]
        slope = self._buffer("slope", run["logits"])
        torch.softmax(run["logits"], -1, out=slope)
        # A probability that rounds to 0 counts as the smallest number there is.
        right = slope.gather(-1, targets).clamp_min_(torch.finfo(slope.dtype).tiny)
        losses = -right.log_().mean((0, 2, 3))
        slope.scatter_add_(-1, targets, slope.new_full((1, 1, 1, 1), -1.0).expand_as(targets))
        slope.mul_(1 / (count * n))
        self._backward(run, slope)
        return losses

    def _buffer(self, name: str, like: Tensor, shape: tuple[int, ...] | None = None) -> Tensor:
        """Memory used again by the next call: a large tensor costs more to get than to fill."""
        shape = tuple(like.shape) if shape is None else shape
        kept = self._buffers.get(name)
        if kept is None or kept.shape != shape:
            kept = self._buffers[name] = like.new_empty(shape)
        return kept

    def _constants(self) -> dict[str, Tensor]:
        """What depends on the weights alone."""
        w, n, config = self.weights, self.config.list_len, self.config
        x_sep = w[EMBED][:, config.sep_id, None] + w[POSITIONS][:, n, None]
        x_out = w[EMBED][:, config.mask_id, None] + w[POSITIONS][:, n + 1 :]
        q_sep = x_sep @ w[Q0].mT
        direction = (q_sep @ w[K0]).mul_(self._scale)
        held = w[EMBED][:, None, : config.n_digits] + w[POSITIONS][:, :n, None]
        q_out = x_out @ w[Q1].mT
        out_directions = (q_out @ w[K1]).mul_(self._scale)
        return {
            "x_sep": x_sep,  # (model, 1, d_model)
            "x_out": x_out,  # (model, position, d_model)
            "q_sep": q_sep,  # (model, 1, d_model)
            "direction": direction,  # (model, 1, d_model): its dot product with an input is a score
            "held": held,  # (model, position, digit, d_model): what each position may hold
            "digit_scores": held @ direction[:, None].mT,  # (model, position, digit, 1)
            "q_out": q_out,  # (model, position, d_model)
            "out_directions": out_directions,  # (model, position, d_model)
            "out_scores": out_directions @ x_out.mT,  # (model, position, position)
            "out_logits": x_out @ w[UNEMBED].mT,  # (model, position, vocabulary)
        }

    def _forward(self, lists: Int[Tensor, "model list position"]) -> dict[str, Tensor]:
        found = self._constants()
        models, count, n = lists.shape
        offsets = torch.arange(models * n, device=lists.device).view(models, 1, n)
        rows = (lists + offsets * self.config.n_digits).flatten()
        held = found["held"].flatten(0, 2).index_select(0, rows).view(models, count, n, -1)
        scores = found["digit_scores"].flatten().index_select(0, rows).view(models, count, n)
        alpha = scores.softmax(-1)
        separator = held[:, :, 0] * alpha[:, :, :1]
        for i in range(1, n):
            separator += held[:, :, i] * alpha[:, :, i : i + 1]
        separator += found["x_sep"]
        out_scores = separator.new_empty(models, count, n, 1 + n)
        out_scores[..., 0] = separator @ found["out_directions"].mT
        out_scores[..., 1:] = found["out_scores"][:, None]
        beta = out_scores.masked_fill_(self._blocked, -torch.inf).softmax(-1)
        vocabulary = self.weights[UNEMBED].shape[1]
        read = self._buffer("read", separator, (models, count, vocabulary))
        torch.bmm(separator, self.weights[UNEMBED].mT, out=read)
        # How much of x_o1 .. x_on is in y_i: what o_i reads of the others, and itself once.
        shares = beta[..., 1:] + self._itself
        logits = self._buffer("logits", read, (n, *read.shape))
        torch.add(read, found["out_logits"][:, :1], out=logits[0])
        for i in range(1, n):
            torch.mul(read, beta[:, :, i, :1], out=logits[i])
            logits[i].baddbmm_(shares[:, :, i], found["out_logits"])
        return found | {
            "rows": rows,  # of the table of inputs, one for each list and position
            "inputs": held,  # (model, list, position, d_model)
            "alpha": alpha,  # (model, list, position)
            "separator": separator,  # (model, list, d_model)
            "beta": beta,  # (model, list, query output, 1 + key output)
            "shares": shares,  # (model, list, query output, key output)
            "read": read,  # (model, list, vocabulary): the separator unembedded
            "logits": logits,  # (output, model, list, vocabulary)
        }

    def _backward(
        self, run: dict[str, Tensor], slope: Float[Tensor, "position model list vocabulary"]
    ) -> None:
        """Fill `gradients` from the loss's slope in the logits; `d_name` is its slope in `name`."""
        w, g, n = self.weights, self.gradients, self.config.list_len
        sep_id, mask_id = self.config.sep_id, self.config.mask_id
        separator, x_out, beta, alpha = (
            run[name] for name in ("separator", "x_out", "beta", "alpha")
        )
        # Through the logits.
        d_beta = torch.zeros_like(beta)
        d_read = self._buffer("d_read", slope[0]).copy_(slope[0])
        d_out_logits = torch.zeros_like(run["out_logits"])
        d_out_logits[:, 0] = slope[0].sum(1)
        for i in range(1, n):
            weighted = torch.mul(slope[i], run["read"], out=self._buffer("weighted", d_read))
            d_beta[:, :, i, 0] = weighted.sum(-1)
            d_beta[:, :, i, 1:] = slope[i] @ run["out_logits"].mT
            d_read += torch.mul(slope[i], beta[:, :, i, :1], out=weighted)
            d_out_logits.baddbmm_(run["shares"][:, :, i].mT, slope[i])
        d_separator = d_read @ w[UNEMBED]
        torch.bmm(d_read.mT, separator, out=g[UNEMBED])
        g[UNEMBED].baddbmm_(d_out_logits.mT, x_out)
        d_x_out = d_out_logits @ w[UNEMBED]
        # Through layer 1's attention; the softmax gives blocked keys no slope.
        d_scores = beta * (d_beta - (beta * d_beta).sum(-1, keepdim=True))
        d_from_sep, d_from_outs = d_scores[..., 0], d_scores[..., 1:].sum(1)
        d_separator.baddbmm_(d_from_sep, run["out_directions"])
        d_directions = torch.baddbmm(d_from_outs @ x_out, d_from_sep.mT, separator)
        d_directions.mul_(self._scale)
        d_x_out.baddbmm_(d_from_outs.mT, run["out_directions"])
        torch.bmm(run["q_out"].mT, d_directions, out=g[K1])
        d_q_out = d_directions @ w[K1].mT
        torch.bmm(d_q_out.mT, x_out, out=g[Q1])
        d_x_out.baddbmm_(d_q_out, w[Q1])
        # Through layer 0's attention.
        d_alpha = torch.stack(
            [(run["inputs"][:, :, i] * d_separator).sum(-1) for i in range(n)], -1
        )
        d_scores = alpha * (d_alpha - (alpha * d_alpha).sum(-1, keepdim=True))
        d_inputs = d_separator[:, :, None] * alpha[..., None]
        d_held = torch.zeros_like(run["held"])
        d_held.view(-1, d_held.shape[-1]).index_add_(
            0, run["rows"], d_inputs.view(-1, d_inputs.shape[-1])
        )
        d_digit_scores = torch.zeros_like(run["digit_scores"])
        d_digit_scores.view(-1).index_add_(0, run["rows"], d_scores.flatten())
        d_direction = torch.bmm(d_digit_scores.flatten(1, 2).mT, run["held"].flatten(1, 2))
        d_direction.mul_(self._scale)
        d_held += d_digit_scores * run["direction"][:, None]
        torch.bmm(run["q_sep"].mT, d_direction, out=g[K0])
        d_q_sep = d_direction @ w[K0].mT
        x_sep = run["x_sep"]
        torch.bmm(d_q_sep.mT, x_sep, out=g[Q0])
        d_x_sep = torch.baddbmm(d_separator.sum(1, keepdim=True), d_q_sep, w[Q0])
        # Into the embeddings.
        torch.sum(d_held, 1, out=g[EMBED][:, : self.config.n_digits])
        g[EMBED][:, sep_id] = d_x_sep[:, 0]
        g[EMBED][:, mask_id] = d_x_out.sum(1)
        torch.sum(d_held, 2, out=g[POSITIONS][:, :n])
        g[POSITIONS][:, n] = d_x_sep[:, 0]
        g[POSITIONS][:, n + 1 :] = d_x_out
