"""The transformer: TransformerLens 4's native model with the list mask and the frozen weights.

model = make_model(Config.preset("seed"))      # a TransformerBridge: hooks, run_with_cache
logits = model(tokens)                         # (list, sequence, vocabulary)
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module
from transformer_lens.model_bridge.sources.native import NativeModel, initialize_native_model

from listcomp_utils.config import Config, ConfigError
from listcomp_utils.mask import build_mask
from listcomp_utils.start import put_ranks


def resolve_device(name: str) -> torch.device:
    """The device of a config's `device`; raises ConfigError when CUDA is asked for and absent."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name!r} is not available here ({torch.cuda.device_count()} CUDA devices); "
            "use 'auto' or 'cpu'"
        )
    return device


def make_model(config: Config) -> TransformerBridge:
    """A freshly initialised model with hooks, on the config's device.

    Weights are drawn as TransformerLens does (normal, 0.8 / sqrt(d_model), W_O divided by
    sqrt(2 n_layers)) from a generator of their own, seeded with `config.seed`. A frozen W_V or W_O
    is the identity, so that several heads together copy the residual stream once. Without positions
    (`config.positions` "none") their embedding is frozen at zero; rotary models have none.
    """
    return add_hooks(make_native_model(config))


def make_native_model(config: Config) -> NativeModel:
    """The same model without hooks: a plain `nn.Module`, cheaper to train (`make bench`)."""
    device = resolve_device(config.device)
    bridge_config = TransformerBridgeConfig(
        d_model=config.d_model,
        d_head=config.d_head,
        n_layers=config.n_layers,
        n_ctx=config.seq_len,
        n_heads=config.n_heads,
        d_vocab=config.d_vocab,
        attn_only=True,
        normalization_type="LN" if config.layer_norm else None,
        positional_embedding_type="rotary" if config.positions == "rotary" else "standard",
        seed=config.seed,
    )
    with torch.random.fork_rng(devices=[]):
        model = NativeModel(bridge_config)
        if config.bias:
            # The library's native unembedding has no bias; the seed notebook's has a trained one.
            model.head = nn.Linear(config.d_model, config.d_vocab, bias=True)
    initialize_native_model(model, bridge_config)
    identity = torch.eye(config.d_model)
    with torch.no_grad():
        model.tok_embed.weight *= config.embed_scale
        if config.positions == "learned":
            model.pos.weight *= config.embed_scale
        elif config.positions == "none":
            model.pos.weight.zero_().requires_grad_(False)
        for block, allowed in zip(model.layers, build_mask(config), strict=True):
            # The library's causal mask (True = blocked) is not part of the state dict.
            attention = block.attn
            attention.causal_mask = ~allowed
            if not config.learn_w_v:
                attention.v.weight.copy_(identity).requires_grad_(False)
            if not config.learn_w_o:
                attention.o.weight.copy_(identity).requires_grad_(False)
            if not config.bias:
                for part in (attention.q, attention.k, attention.v, attention.o):
                    part.bias.requires_grad_(False)
    if config.start == "ranks":
        put_ranks(model, config)
    model.listcomp_config = config
    return model.to(device)


def add_hooks(model: NativeModel) -> TransformerBridge:
    """The model wrapped for TransformerLens; it shares the weights and takes the modules over."""
    config = config_of(model)
    return build_bridge_from_module(
        model,
        architecture="TransformerLensNative",
        tl_config=model.cfg,
        device=resolve_device(config.device),
        model_name=config.slug,
    )


def config_of(model: nn.Module) -> Config:
    """The config the model was made with; raises TypeError for a model made elsewhere."""
    config = getattr(model, "listcomp_config", None)
    if not isinstance(config, Config):
        raise TypeError(
            f"a model from make_model, train or load_model is needed, got {type(model).__name__}"
        )
    return config


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights are."""
    return next(model.parameters()).device


def frozen_weights(model: TransformerBridge) -> dict[str, str]:
    """Names (as in the state dict) and values of the weights that training does not change."""
    return {
        name: "identity" if weight.any() else "zero"
        for name, weight in model.state_dict(keep_vars=True).items()
        if not weight.requires_grad
    }


def parameter_table(model: TransformerBridge) -> pd.DataFrame:
    """Every weight in order: its name, shape, numbers, whether it is trained, and a note if not."""
    frozen, weights = frozen_weights(model), model.state_dict()
    return pd.DataFrame(
        {
            "weight": list(weights),
            "shape": [" × ".join(map(str, weight.shape)) for weight in weights.values()],
            "numbers": [weight.numel() for weight in weights.values()],
            "trained": [name not in frozen for name in weights],
            "note": [f"frozen: {frozen[name]}" if name in frozen else "" for name in weights],
        }
    )
