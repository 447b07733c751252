"""State dicts read without PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from coppice_export.weights import SourceError, load_state


def _saved(path, state):
    np.savez(path, **state)
    return path


def _refusal(path, config) -> str:
    with pytest.raises(SourceError) as refusal:
        load_state(path, config)
    return str(refusal.value)


def test_names_of_this_project_are_read(tiny, tiny_state, tmp_path):
    """An archive comes back as it was, in the order of the model."""
    state = load_state(_saved(tmp_path / "w.npz", dict(reversed(tiny_state.items()))), tiny)
    assert list(state) == list(tiny_state)
    assert all(np.array_equal(state[name], tiny_state[name]) for name in state)


def test_names_of_timm_are_mapped(tiny, tiny_state, tmp_path):
    """Attention and MLP of timm's blocks get this project's names."""
    timm = {}
    for name, array in tiny_state.items():
        for ours, theirs in ((".qkv.", ".attn.qkv."), (".proj.", ".attn.proj."), (".fc", ".mlp.fc")):
            name = name.replace(ours, theirs)
        timm[name] = array
    assert timm.keys() != tiny_state.keys()
    assert load_state(_saved(tmp_path / "w.npz", timm), tiny).keys() == tiny_state.keys()


def test_faults_of_an_archive_are_reported_at_once(tiny, tiny_state, tmp_path):
    """Missing, surplus, misshapen, wrongly typed and non-finite arrays stand in one refusal."""
    state = dict(tiny_state)
    del state["cls_token"]
    state["dist_token"] = np.zeros(3, np.float32)
    state["head.bias"] = np.zeros(9, np.float32)
    state["norm.bias"] = np.zeros(24)
    state["pos_embed"] = np.full_like(state["pos_embed"], np.inf)
    refusal = _refusal(_saved(tmp_path / "w.npz", state), tiny)
    for fault in (
        "cls_token is missing",
        "dist_token is not part of tiny",
        "head.bias: expected float32 [10], found float32 [9]",
        "norm.bias: expected float32 [24], found float64 [24]",
        "pos_embed has values that are not finite",
    ):
        assert fault in refusal


def test_array_given_under_both_names_is_refused(tiny, tiny_state, tmp_path):
    """Which of two arrays to take is not guessed."""
    state = tiny_state | {"blocks.0.attn.qkv.bias": tiny_state["blocks.0.qkv.bias"] + 1}
    assert "blocks.0.qkv.bias is given twice" in _refusal(_saved(tmp_path / "w.npz", state), tiny)


def _pickled(path):
    np.savez(path, head=np.array([{"a": 1}], dtype=object))


def _text(path):
    path.write_text("no archive")


def _empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("write", [_pickled, _text, _empty])
def test_file_that_is_no_archive_of_arrays_is_refused(tiny, tmp_path, write):
    """Pickled objects, text and an empty file are refused in one line with the path."""
    path = tmp_path / "w.npz"
    write(path)
    refusal = _refusal(path, tiny)
    assert refusal.startswith(f"{path}: not a readable .npz state dict (")
    assert "\n" not in refusal


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_archive_is_refused(tiny, tiny_state, tmp_path, share):
    """A download that stopped is refused wherever it stopped."""
    path = _saved(tmp_path / "w.npz", tiny_state)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "not a readable .npz state dict" in _refusal(path, tiny)


def test_changed_byte_in_an_archive_is_refused(tiny, tiny_state, tmp_path):
    """The archive's own checksum notices one flipped byte of an array."""
    path = _saved(tmp_path / "w.npz", tiny_state)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)
    assert "not a readable .npz state dict" in _refusal(path, tiny)
