"""What a reader asks of the order mechanism, answered in numbers and frames.

exactness(model, lists)                        # how far the formula is from the model
flow(model, torch.tensor([[60, 44]]), lists)   # each edge: attention on a list, and its cost
by_hand(weights, lists)                # each list from two scores to what is written
readouts(weights)                      # the order axis beside other directions

ConfigError where the model is not of the study's architecture; all but the first two also need
lists of two.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn

from listcomp_utils.circuit.formula import Lists, Weights, edge_costs, logits, run, weights_of
from listcomp_utils.circuit.order_axis import (
    main_direction,
    order_axis,
    outputs_of,
    separator,
    unequal,
)
from listcomp_utils.circuit.quantities import difference_terms
from listcomp_utils.config import Config
from listcomp_utils.hooks import run_all
from listcomp_utils.mask import edge_label
from listcomp_utils.model import config_of, make_model
from listcomp_utils.task import all_lists, lists_to_score


def exactness(model: nn.Module, lists: Lists) -> dict[str, float]:
    """How far formula and model are apart at most, in the model's own number format."""
    config, weights = config_of(model), weights_of(model)
    places = list(config.prediction_positions)
    circuit, seen = run(weights, lists), run_all(model, lists)
    told = seen.logits[:, places]
    return {
        "logits": (logits(weights, circuit, places) - told).abs().max().item(),
        "patterns": (circuit.patterns - seen.patterns[:, :, 0]).abs().max().item(),
        "largest logit": told.abs().max().item(),
    }


def exactness_at_random() -> dict[str, dict[str, float]]:
    """`exactness` of small random models in float64, longer and deeper than the study's too."""
    found = {}
    for list_len, n_layers in ((2, 2), (3, 2), (4, 2), (2, 3)):
        sizes = dict(list_len=list_len, n_layers=n_layers, n_digits=5, d_model=16, device="cpu")
        config = Config.preset("study", **sizes)
        lists, name = lists_to_score(config, most=700), f"{list_len} digits, {n_layers} layers"
        found[f"random, {name}, float64"] = exactness(make_model(config).double(), lists)
    return found


def flow(model: nn.Module, example: Lists, lists: Lists) -> pd.DataFrame:
    """Every edge of the mask, as `diagrams.attention_flow` draws them.

    `weight` is attention on one example, `cost` that of `edge_costs` on `lists`.
    """
    config, weights = config_of(model), weights_of(model, torch.float64)
    watched = run(weights, example).patterns[0]
    rows = {
        edge_label(config, edge): (*edge, watched[edge].item(), cost)
        for edge, cost in edge_costs(weights, lists).items()
    }
    columns = ["layer", "query", "key", "weight", "cost"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("edge")


def by_hand(weights: Weights, lists: Lists) -> pd.DataFrame:
    """The algorithm on lists (a, b): both scores, both attentions, the digits' logits, output."""
    axis, outputs = order_axis(weights), outputs_of(weights, lists)
    words = [", ".join(map(str, digits)) for digits in lists.tolist()]
    frame = pd.DataFrame({"list a, b": words})
    frame[["s_a", "s_b"]] = axis.scores[lists].numpy()
    frame["α1"] = axis.attention(*lists.unbind(1)).numpy()
    frame["β_s"] = outputs.moderation.numpy()
    for place, output in enumerate(("o1", "o2")):
        names = [f"{output}: a", f"{output}: b"]
        frame[names] = outputs.logits[:, place].gather(1, lists).numpy()
    frame["written"] = [", ".join(map(str, tokens)) for tokens in outputs.written.tolist()]
    return frame


def readouts(weights: Weights, count: int = 200) -> pd.DataFrame:
    """What is read and written along P1 - P2, U's main direction and random ones of its length.

    A row a direction, of the random ones the largest value in each column, all without sign: the
    `correlation` with SEP's scores of what the unembedding reads of the digits, that of the
    `ranks`, the `spread` (std over the digits); the cosine with SEP's step from (b, a) to (a, b),
    mean over lists; and o2's query times the direction.
    """
    config, axis = weights.config, order_axis(weights)
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(count, config.d_model, generator=generator, dtype=torch.float64)
    ways = torch.cat(
        [torch.stack([axis.direction, main_direction(weights)]), random.to(axis.scores)]
    )
    ways = ways / ways.norm(dim=1, keepdim=True)
    read = weights.unembed.T[: config.n_digits] @ ways.T * axis.direction.norm()
    ranks = pd.DataFrame(read.numpy()).corrwith(pd.Series(axis.scores.numpy()), method="spearman")
    lists = unequal(all_lists(config))
    there, back = (separator(weights, rows).vectors for rows in (lists, lists.flip(1)))
    step = torch.nn.functional.normalize(there - back, dim=1)
    query = weights.output_inputs[1] @ weights.query_key[1]
    frame = pd.DataFrame(
        {
            "correlation": torch.corrcoef(torch.cat([axis.scores[None], read.T]))[0, 1:].abs(),
            "ranks": ranks.abs(),
            "spread": read.std(0),
            "order along it": (step @ ways.T).abs().mean(0),
            "o2's query": (ways @ query).abs() * axis.direction.norm(),
        }
    )
    table = pd.concat([frame[:2], frame[2:].max().to_frame().T])
    table.insert(0, "direction", ["P1 - P2", "main direction of U", f"largest of {count} random"])
    return table.reset_index(drop=True)


def exchanges(shares: pd.DataFrame) -> pd.DataFrame:
    """Of `swap_shares`, what exchanging positions' or contents' weights does, with distances."""
    chosen = shares.loc[shares.index.str.endswith("exchanged")]
    other = 1 - chosen.kept - chosen.reversed
    told = ["kept", "reversed", "reversed off the diagonal", "reversed on it"]
    table = chosen[[*told, "from own", "from reverse"]]
    table.insert(2, "neither", other)
    return table.reset_index()


def difference(weights: Weights, lists: Lists) -> tuple[pd.DataFrame, float]:
    """What each term of equation (6) adds to the logit of d2 minus that of d1 (a not b).

    `share > 0` is that of the lists in which a term favours d2. Beside the frame, how far o1's
    logits and the terms are from o2's at most.
    """
    lists = unequal(lists)
    first, second = outputs_of(weights, lists).logits.unbind(1)
    terms = difference_terms(weights, lists)
    error = (sum(terms.values()) + first - second).abs().max().item()
    parts = {"o1's own logits": first, **terms}
    added = {name: part.gather(1, lists).diff()[:, 0].numpy() for name, part in parts.items()}
    added = pd.DataFrame(added)
    frame = added.agg(["mean", "std"]).T.assign(**{"share > 0": (added > 0).mean()})
    return frame.rename_axis("term").reset_index(), error
