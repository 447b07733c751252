"""The published methods by name, as `convert --method` takes them.

A module's `preset` gives a configuration with the method in it, its `rungs` the token budgets that `convert` makes of
it: counts for each stage, none where the method has no budget.
"""

from __future__ import annotations

import inspect
import json

from ..config import ViTConfig
from . import (
    ats,
    diffrate,
    dynamic_vit,
    e_attention,
    evit,
    linear_attention,
    ltmp,
    patch_merger,
    token_sampling,
    tome,
    top_k,
)

__all__ = ["PRESETS", "with_method"]

PRESETS = {
    "top-k": top_k,
    "evit": evit,
    "tome": tome,
    "diffrate": diffrate,
    "ltmp": ltmp,
    "ats": ats,
    "linear-attention": linear_attention,
    "token-sampling": token_sampling,
    "e-attention": e_attention,
    "dynamic-vit": dynamic_vit,
    "patch-merger": patch_merger,
}


def with_method(config: ViTConfig, method: str, options: dict[str, str]) -> ViTConfig:
    """The configuration with a method in it; options: the preset's parameters, as text.

    Raises ValueError for a parameter or a value that the method does not have.
    """
    preset = PRESETS[method].preset
    known = {name: p.default for name, p in inspect.signature(preset).parameters.items() if name != "config"}
    if strangers := sorted(options.keys() - known.keys()):
        raise ValueError(
            f"method {method} has {', '.join(known) or 'no settings'}, found {', '.join(strangers)}; leave these out"
        )
    return preset(config, **{name: _value(name, text, known[name]) for name, text in options.items()})


def _value(name: str, text: str, default: object) -> object:
    """The text as what the default is: text itself, or JSON."""
    if isinstance(default, str):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
    listed = isinstance(default, tuple) and isinstance(value, list)
    if not (type(value) is type(default) or number or listed):
        raise ValueError(f"{name}: expected a value like {json.dumps(default)}, found {text!r}")
    return value
