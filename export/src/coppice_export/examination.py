"""How well a model does at a token budget, on photographs that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .photographs import Photograph
from .reference import VisionTransformer
from .views import as_on_board

__all__ = ["Examination"]


class Examination:
    """Photographs as a board sees them, their classes where they are known, and what a teacher says of them."""

    def __init__(
        self,
        photographs: Sequence[Photograph],
        classes: np.ndarray | None,
        teacher: VisionTransformer,
        student: VisionTransformer,
    ):
        self.classes = None if classes is None else torch.from_numpy(classes)
        self.images = as_on_board(photographs, student.config.preprocessing)
        seen = self.images
        if teacher.config.preprocessing != student.config.preprocessing:
            seen = as_on_board(photographs, teacher.config.preprocessing)
        self.taught = _logits(teacher, seen, None)
        self.teacher = self._judged(self.taught)

    def __call__(self, model: VisionTransformer, keep: tuple[int, ...] | None) -> dict[str, float]:
        """Percentage of best labels that are the teacher's, mean KL(teacher || model) in nats, top-1 in percent."""
        return self._judged(_logits(model, self.images, keep))

    def _judged(self, logits: Tensor) -> dict[str, float]:
        probabilities = [F.log_softmax(values, 1) for values in (logits, self.taught)]
        best = logits.argmax(1)
        found = {
            "agreement": 100 * float((best == self.taught.argmax(1)).float().mean()),
            "divergence": float(F.kl_div(*probabilities, log_target=True, reduction="batchmean")),
        }
        return found if self.classes is None else found | {"top1": 100 * float((best == self.classes).float().mean())}


def _logits(model: VisionTransformer, images: Tensor, keep: tuple[int, ...] | None) -> Tensor:
    device = next(model.parameters()).device
    with torch.inference_mode():
        return torch.cat([model(part.to(device), keep).cpu() for part in images.split(32)])
