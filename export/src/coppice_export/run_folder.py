"""What a fine-tuning leaves on disk, and how a stopped one goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .bundle import Rung
from .checkpoint import SourceError
from .optimizer import progress_bar, save_checkpoint
from .photographs import Photograph
from .reference import VisionTransformer
from .views import random_views

__all__ = ["RunFolder"]


class RunFolder:
    """`settings.json`, `teacher-V.npy`, `checkpoint.pt`, `curve.json` and, at the end, `weights.npz`.

    Raises SourceError where the folder holds a run with other settings.
    """

    def __init__(
        self,
        out: Path,
        student: VisionTransformer,
        teacher: VisionTransformer,
        photographs: Sequence[Photograph],
        ladder: Sequence[Rung],
        recipe: Any,
    ):
        self.out, self.teacher, self.photographs, self.recipe = out, teacher, photographs, recipe
        settings = {
            "recipe": asdict(recipe),
            "ladder": {rung.name: list(rung.keep) for rung in ladder},
            "student": _digest_of(student),
            "teacher": _digest_of(teacher),
            "photographs": _digest(*(f"{p.name} {p.size}\n".encode() for p in photographs)),
        }
        path = out / "settings.json"
        before = json.loads(path.read_text()) if path.exists() else settings
        if changed := [name for name, value in settings.items() if before.get(name) != value]:
            raise SourceError(f"{out} holds a run with another {' and another '.join(changed)}: choose another folder.")
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=1) + "\n")

    def lessons(self, view: int) -> np.ndarray:
        """float32 (photographs, pooled width): what the teacher's head reads of a view; computed once."""
        path = self.out / f"teacher-{view}.npy"
        if not path.exists():
            part = path.with_suffix(".part.npy")
            np.save(part, self._computed(view))
            part.replace(path)
        return np.load(path)

    def _computed(self, view: int) -> np.ndarray:
        device, spec = next(self.teacher.parameters()).device, self.teacher.config.preprocessing
        features, every = [], np.arange(len(self.photographs))
        with progress_bar() as progress, torch.inference_mode():
            task = progress.add_task("teacher", total=len(every), note=f"view {view + 1} of {self.recipe.views}")
            for start in range(0, len(every), 32):
                numbers, seed = every[start : start + 32], (self.recipe.seed, view)
                image = random_views(self.photographs, numbers, spec, self.recipe.smallest_crop, seed)
                features.append(self.teacher.features(image.to(device))[0].cpu().numpy())
                progress.advance(task, len(numbers))
        return np.concatenate(features)

    def save(self, parts: dict[str, Any], step: int, total: float, rows: list[dict]) -> None:
        """parts: whatever has a state dict. total: the sum of losses since the last row."""
        (self.out / "curve.json").write_text(json.dumps(rows, indent=1) + "\n")
        state = {name: part.state_dict() for name, part in parts.items()}
        save_checkpoint(self.out / "checkpoint.pt", state | {"step": step, "total": total, "rows": rows})

    def resume(self, parts: dict[str, Any], device: torch.device) -> tuple[int, float, list[dict]] | None:
        """What was saved last, its parts loaded; None where nothing was."""
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return None
        saved = torch.load(path, weights_only=True, map_location=device)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        return saved["step"], saved["total"], saved["rows"]

    def finish(self, model: VisionTransformer, rows: list[dict]) -> None:
        """`weights.npz` is what `convert` reads."""
        (self.out / "curve.json").write_text(json.dumps(rows, indent=1) + "\n")
        state = {name: value.cpu().numpy() for name, value in model.state_dict().items() if value.is_floating_point()}
        np.savez(self.out / "weights.npz", **state)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _digest_of(model: VisionTransformer) -> str:
    """Of the configuration and the weights."""
    weights = (value.cpu().numpy().tobytes() for value in model.state_dict().values())
    return _digest(repr(model.config).encode(), *weights)
