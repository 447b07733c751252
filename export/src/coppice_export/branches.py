"""Parallel linear branches of training, merged into the one matrix that a board multiplies with.

A layer may be trained as a sum of linear maps, each followed by a batch norm or by a scale per channel, and of the
identity where its shape allows; at inference all of this is one affine map (METHODS of cFFN; RepVGG for convolutions).
"""

from __future__ import annotations

import re

import numpy as np

__all__ = ["BATCH_NORM_EPS", "merge_branches"]

BATCH_NORM_EPS = 1e-5
_BRANCH = re.compile(r"^(?P<layer>.*)\.branches\.(?P<number>\d+)\.(?P<array>.*)$")


def merge_branches(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """LAYER.branches.B.{weight, norm.*, scale} -> LAYER.weight and a bias, summed in float64.

    W = sum_b diag(f_b) W_b and b = sum_b (beta_b - f_b mean_b) with f_b = gamma_b / sqrt(var_b + eps), or f_b = scale_b
    and no bias; a branch without `weight` is the identity. The bias is added to LAYER.bias. A layer `u` has none: its
    bias goes through the layer `v` beside it. Arrays of other names come back as they are.

    Raises ValueError for branches that lack an array or do not fit together.
    """
    branches: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    merged = {}
    for name, array in state.items():
        if found := _BRANCH.match(name):
            layer, number, part = found.groups()
            branches.setdefault(layer, {}).setdefault(number, {})[part] = np.asarray(array, np.float64)
        else:
            merged[name] = array
    touched = set()
    for layer in sorted(branches, reverse=True):  # v before u, whose bias goes through it
        pieces = [_affine(layer, number, branch) for number, branch in branches[layer].items()]
        if len({weight.shape for weight, _ in pieces}) > 1:
            raise ValueError(f"{layer}: branches differ in shape: {[list(weight.shape) for weight, _ in pieces]}")
        weight, bias = (sum(piece[i] for piece in pieces) for i in (0, 1))
        target = layer
        if layer.endswith(".u"):
            target = f"{layer[:-1]}v"
            after = merged.get(f"{target}.weight", np.empty((0, 0)))
            if after.shape[1] != len(bias):
                raise ValueError(
                    f"{target}.weight: expected {len(bias)} columns as {layer} has rows, found {after.shape}"
                )
            bias = after @ bias
        merged[f"{layer}.weight"], merged[f"{target}.bias"] = weight, merged.get(f"{target}.bias", 0) + bias
        touched |= {f"{layer}.weight", f"{target}.bias"}
    return {name: array.astype(np.float32) if name in touched else array for name, array in merged.items()}


def _affine(layer: str, number: str, branch: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """One branch as a matrix (out, in) and a bias (out)."""
    needed = (
        {"scale"} if "scale" in branch else {f"norm.{n}" for n in ("weight", "bias", "running_mean", "running_var")}
    )
    if lacking := sorted(needed - branch.keys()):
        raise ValueError(f"{layer}: branch {number} lacks {', '.join(lacking)}")
    shapes = {branch[name].shape for name in needed}
    shapes |= {branch["weight"].shape[:1]} if "weight" in branch else set()
    if len(shapes) > 1 or len(min(shapes)) != 1:
        raise ValueError(f"{layer}: branch {number} differs in its channels: {sorted(map(list, shapes))}")
    if "scale" in branch:
        factor, bias = branch["scale"], np.zeros_like(branch["scale"])
    else:
        factor = branch["norm.weight"] / np.sqrt(branch["norm.running_var"] + BATCH_NORM_EPS)
        bias = branch["norm.bias"] - factor * branch["norm.running_mean"]
    return factor[:, None] * branch.get("weight", np.eye(len(factor))), bias
