"""One file per method of reducing tokens, its PyTorch face beside its translation to ONNX; chosen by `Reduction`.

Faces give the tokens that are left: x, the incoming token at whose place each row stands (`index`), and how many
original tokens each row stands for (None or "" while nothing has merged). A fused or mixed token is a row beyond the
index. Faces that act on the queries of attention run before it and give the index alone.
"""

from . import merge, patch_merger, predictor, prune_merge, sample, static, threshold, top_k
from .tokens import Tokens

__all__ = ["METHODS", "Tokens"]

METHODS = {
    "top_k": top_k,
    "merge": merge,
    "prune_merge": prune_merge,
    "threshold": threshold,
    "sample": sample,
    "static": static,
    "predictor": predictor,
    "patch_merger": patch_merger,
}
