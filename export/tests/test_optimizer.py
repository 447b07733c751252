"""What trainings share: the learning rate's course, which weights decay, averages, checkpoints."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from coppice_export.optimizer import learning_rate, parameter_groups, save_checkpoint, update_average


@pytest.mark.parametrize(("step", "rate"), [(0, 0.5), (1, 1.0), (2, 1.0), (6, 0.5), (10, 0.0)])
def test_learning_rate_rises_then_follows_a_half_cosine(step, rate):
    """Two steps of warm-up, then half a cosine over the remaining eight."""
    assert learning_rate(step, 10, peak=1.0, warmup_steps=2) == pytest.approx(rate, abs=1e-12)


def test_matrices_decay_vectors_do_not_and_frozen_weights_are_left_out():
    """Of two layers with a norm between them, the first is frozen."""
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 4))
    model[0].requires_grad_(False)
    matrices, vectors = parameter_groups(model, 0.1)
    assert (matrices["weight_decay"], [p.shape for p in matrices["params"]]) == (0.1, [(4, 3)])
    assert (vectors["weight_decay"], [tuple(p.shape) for p in vectors["params"]]) == (0.0, [(3,), (3,), (4,)])


@pytest.mark.parametrize(("step", "share"), [(0, 0.9), (8, 0.5), (10_000, 0.01)])
def test_average_forgets_quickly_at_first(step, share):
    """The new weights' share is 1 - min(decay, (1 + step) / (10 + step)); counters are copied."""
    model, average = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    with torch.no_grad():
        model.weight.fill_(2.0)
    model.num_batches_tracked.fill_(7)
    update_average(average, model, step, decay=0.99)
    assert average.weight.item() == pytest.approx(1 + share, abs=1e-6)
    assert average.num_batches_tracked == 7


def test_checkpoint_survives_a_failed_save(tmp_path):
    """What cannot be written leaves the old file as it was."""
    save_checkpoint(tmp_path / "checkpoint.pt", {"step": 1})
    with pytest.raises(AttributeError, match="pickle"):
        save_checkpoint(tmp_path / "checkpoint.pt", {"step": lambda: 2})
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True) == {"step": 1}
