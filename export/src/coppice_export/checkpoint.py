"""State dicts from files: `.npz`, `.safetensors`, and PyTorch's own without running what a pickle says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["FORMATS", "SourceError", "read_arrays"]

# Where training scripts put the state dict: the averaged weights first, as these are the ones they evaluate.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")


class SourceError(ValueError):
    """A model source that cannot be read or does not fit its configuration."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays by name; float16 and bfloat16 are widened to float32, counters of batch norms are left out.

    Raises SourceError for a file that is damaged, of another format, or holds anything but arrays.
    """
    if path.suffix not in FORMATS:
        raise SourceError(f"{path}: expected {', '.join(FORMATS)}, found {path.suffix or 'no suffix'!r}.")
    try:
        arrays = FORMATS[path.suffix](path)
    except SourceError:
        raise
    except Exception as error:  # a damaged file also ends in zlib.error, TypeError, MemoryError, NotImplementedError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(
            f"{path}: not a readable {path.suffix} state dict ({reason}); give an archive of plain arrays."
        ) from error
    if all(name.startswith("module.") for name in arrays):  # as torch.nn.DataParallel names them
        arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
    # Batch norm counts the batches it has seen; no formula uses the count.
    return {n: _widened(array) for n, array in arrays.items() if not n.endswith("num_batches_tracked")}


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.name in ("float16", "bfloat16") else array


def _numpy(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(path)


def _torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise SourceError(
            f"{path}: reading it needs PyTorch ({error}); install coppice-export[torch] or give .safetensors."
        ) from None
    content = torch.load(path, map_location="cpu", weights_only=True)
    for key in _NESTED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    strangers = [k for k, v in content.items() if not isinstance(v, torch.Tensor)] if isinstance(content, dict) else []
    if not isinstance(content, dict) or strangers:
        found = f"{', '.join(map(str, strangers[:3]))} beside arrays" if strangers else f"a {type(content).__name__}"
        raise SourceError(f"{path}: expected a state dict of arrays alone, found {found}; save model.state_dict().")
    half = (torch.float16, torch.bfloat16)
    return {str(n): (t.float() if t.dtype in half else t).detach().numpy() for n, t in content.items()}


FORMATS = {".npz": _numpy, ".safetensors": _safetensors, ".pth": _torch, ".pt": _torch, ".bin": _torch}
