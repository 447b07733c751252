"""One file per method of reducing tokens between attention and MLP, its PyTorch face beside its translation to ONNX.

Both give the tokens that are left: x, the incoming token at whose place each row stands, and how many original tokens
each row stands for (None or "" while nothing has merged). A fused token is a last row that the index does not have.
"""

from . import merge, prune_merge, top_k
from .tokens import Tokens

__all__ = ["METHODS", "Tokens"]

METHODS = {"top_k": top_k, "merge": merge, "prune_merge": prune_merge}
