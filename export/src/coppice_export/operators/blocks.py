"""The inputs of the operators that hold linear layers, in order."""

from . import attention_block, encoder_block, mlp_block

__all__ = ["SLOTS"]

SLOTS = {
    "AttentionBlock": attention_block.SLOTS,
    "EncoderBlock": encoder_block.SLOTS,
    "MlpBlock": mlp_block.SLOTS,
}
