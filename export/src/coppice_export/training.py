"""Trains a small elastic transformer from scratch, taught by a larger one: `coppice-export train`.

Two phases. `prepare` cuts a few random crops of each photograph and stores the teacher's 1000-way opinion of each, so
that the teacher runs once and not every epoch. `train` then fits the student to labels and opinions, with a random
token budget at every step, so that one set of weights serves the whole ladder. Both resume where they stopped.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from .config import VIT_TINY, ViTConfig
from .labels import IMAGENETTE
from .optimizer import descend, learning_rate, parameter_groups, progress_bar, save_checkpoint, update_average
from .photographs import class_numbers, find_photographs
from .plots import draw_epochs
from .preprocess import preprocess
from .reference import VisionTransformer, load_reference
from .views import random_crop, to_tensor
from .weights import SourceError

__all__ = ["Recipe", "evaluate", "prepare", "read_photographs", "train"]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result besides the data; stored beside it."""

    seed: int = 0
    views: int = 4
    smallest_crop: float = 0.35
    epochs: int = 40
    batch: int = 64
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 300
    label_smoothing: float = 0.1
    mix_probability: float = 0.5
    teacher_weight: float = 1.0
    smallest_keep: float = 0.3
    full_share: float = 0.4
    average_decay: float = 0.998


def read_photographs(archive: Path) -> tuple[list[Image.Image], np.ndarray]:
    """Decoded RGB photographs of a tar with one folder per synset, in name order, and their class numbers."""
    found = find_photographs(archive)
    numbers = class_numbers(found, [name for _, name, _ in IMAGENETTE])
    return [Image.fromarray(photograph.pixels()) for photograph in found], numbers


def prepare(archive: Path, teacher_weights: Path, out: Path, config: ViTConfig, recipe: Recipe) -> None:
    """Write `pixels.npy` (views, count, size, size, 3), `teacher.npy` (views, count, 1000) and `labels.npy` (count)."""
    if (out / "labels.npy").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    images, labels = read_photographs(archive)
    teacher = load_reference(VIT_TINY, teacher_weights)
    size, rng = config.preprocessing.crop, np.random.default_rng(recipe.seed)
    shape = (recipe.views, len(images))
    pixels = np.lib.format.open_memmap(out / "pixels.npy", "w+", np.uint8, (*shape, size, size, 3))
    opinions = np.lib.format.open_memmap(out / "teacher.npy", "w+", np.float16, (*shape, VIT_TINY.classes))
    with progress_bar() as progress, torch.inference_mode():
        task = progress.add_task("teacher", total=recipe.views * len(images), note="")
        for view in range(recipe.views):
            for start in range(0, len(images), 32):
                crops = [random_crop(image, size, recipe.smallest_crop, rng) for image in images[start : start + 32]]
                pixels[view, start : start + 32] = np.stack([np.asarray(c) for c in crops])
                large = [np.asarray(c.resize((224, 224), Image.Resampling.BICUBIC)) for c in crops]
                image = to_tensor(np.stack(large), VIT_TINY.preprocessing)
                opinions[view, start : start + 32] = teacher(image).half().numpy()
                progress.advance(task, len(crops))
    pixels.flush(), opinions.flush()
    np.save(out / "labels.npy", labels)


class _Student(nn.Module):
    """The model to keep and a 1000-way head that only training uses."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.model = VisionTransformer(config)
        self.taught = nn.Linear(config.width, VIT_TINY.classes)

    def forward(self, image: Tensor, keep: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        feature, _ = self.model.features(image, keep)
        return self.model.head(feature), self.taught(feature)


def _random_keep(config: ViTConfig, recipe: Recipe, rng: np.random.Generator) -> tuple[int, ...]:
    """The full budget for `full_share` of the steps, else falling counts down to `smallest_keep` of the patches."""
    stages = len(config.reduce_at)
    if rng.random() < recipe.full_share:
        return (config.patches,) * stages
    counts = rng.integers(round(recipe.smallest_keep * config.patches), config.patches + 1, stages)
    return tuple(int(c) for c in np.sort(counts)[::-1])


def _mix(image: Tensor, targets: list[Tensor], rng: np.random.Generator) -> tuple[Tensor, list[Tensor]]:
    """CutMix: a random box of each image comes from the next one; targets are mixed by area."""
    size, area = image.shape[-1], rng.beta(1, 1)
    side = int(size * math.sqrt(area))
    top, left = rng.integers(0, size - side + 1, 2)
    mixed = image.clone()
    mixed[:, :, top : top + side, left : left + side] = image.roll(1, 0)[:, :, top : top + side, left : left + side]
    share = side * side / (size * size)
    return mixed, [t * (1 - share) + t.roll(1, 0) * share for t in targets]


def _jitter(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Flip half of the images; change brightness and contrast by up to a quarter."""
    flip = torch.from_numpy(rng.random(len(image)) < 0.5)
    image[flip] = image[flip].flip(-1)
    gain = torch.from_numpy(rng.uniform(0.75, 1.25, (len(image), 1, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.uniform(-0.25, 0.25, (len(image), 1, 1, 1)).astype(np.float32))
    return image * gain + shift


def evaluate(
    model: VisionTransformer, images: list[Image.Image], labels: np.ndarray, keep: tuple[int, ...] | None = None
) -> float:
    """Top-1 in percent, photographs preprocessed as a board does it."""
    model.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(images), 100):
            batch = np.stack(
                [preprocess(np.asarray(i), model.config.preprocessing) for i in images[start : start + 100]]
            )
            right += int((model(torch.from_numpy(batch), keep).argmax(1).numpy() == labels[start : start + 100]).sum())
    return 100 * right / len(images)


def train(prepared: Path, validation: Path, out: Path, config: ViTConfig, recipe: Recipe, threads: int = 2) -> None:
    """Fit the student; leaves `checkpoint.pt`, `curve.json`, `curve.png` and `weights.npz` after every epoch."""
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    pixels, opinions = np.load(prepared / "pixels.npy", mmap_mode="r"), np.load(prepared / "teacher.npy")
    labels, held_out = np.load(prepared / "labels.npy"), read_photographs(validation)
    student, average = _Student(config), _Student(config)
    student.to(memory_format=torch.channels_last)
    average.load_state_dict(student.state_dict())
    optimizer = torch.optim.AdamW(parameter_groups(student, recipe.weight_decay))
    first, curve = 0, []
    if (out / "checkpoint.pt").exists():
        saved = torch.load(out / "checkpoint.pt", weights_only=True)
        student.load_state_dict(saved["student"]), average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["epoch"]
        # The curve is written first: a run killed between the two files draws its last epoch again.
        curve = json.loads((out / "curve.json").read_text())[:first]
    per_epoch = len(labels) // recipe.batch
    if not per_epoch:
        raise SourceError(f"{prepared}: expected at least {recipe.batch} photographs for a batch, found {len(labels)}.")
    steps = recipe.epochs * per_epoch
    half = tuple(config.patches // 2 for _ in config.reduce_at)
    with progress_bar() as progress:
        task = progress.add_task("train", total=steps, completed=first * per_epoch, note="")
        for epoch in range(first, recipe.epochs):
            rng = np.random.default_rng((recipe.seed, epoch))  # a resumed epoch draws what an uninterrupted one would
            order, view = rng.permutation(len(labels)), rng.integers(0, recipe.views, len(labels))
            student.train()
            started, total = time.monotonic(), 0.0
            for number in range(per_epoch):
                pick = np.sort(order[number * recipe.batch : (number + 1) * recipe.batch])
                image = _jitter(to_tensor(np.stack([pixels[view[i], i] for i in pick]), config.preprocessing), rng)
                truth = F.one_hot(torch.from_numpy(labels[pick]), config.classes).float()
                opinion = torch.softmax(torch.from_numpy(np.stack([opinions[view[i], i] for i in pick])).float(), 1)
                if rng.random() < recipe.mix_probability:
                    shuffle = torch.from_numpy(rng.permutation(len(pick)))  # neighbours share a class: `pick` is sorted
                    image, (truth, opinion) = _mix(image[shuffle], [truth[shuffle], opinion[shuffle]], rng)
                logits, taught = student(image, _random_keep(config, recipe, rng))
                loss = F.cross_entropy(logits, truth, label_smoothing=recipe.label_smoothing)
                loss = loss + recipe.teacher_weight * F.cross_entropy(taught, opinion)
                step = epoch * per_epoch + number
                rate = learning_rate(step, steps, recipe.learning_rate, recipe.warmup_steps)
                descend(loss, student, optimizer, rate)
                update_average(average, student, step, recipe.average_decay)
                total += loss.item()
                progress.update(task, advance=1, note=f"epoch {epoch + 1} loss {loss.item():.3f}")
            row = {"epoch": epoch + 1, "loss": total / per_epoch, "seconds": time.monotonic() - started}
            row["top1_full"] = evaluate(average.model, *held_out)
            row["top1_half"] = evaluate(average.model, *held_out, half)
            curve.append(row)
            (out / "curve.json").write_text(json.dumps(curve, indent=1) + "\n")
            state = {
                "student": student.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epoch": epoch + 1,
            }
            save_checkpoint(out / "checkpoint.pt", state)
            np.savez(
                out / "weights.npz",
                **{k: v.numpy() for k, v in average.model.state_dict().items() if v.is_floating_point()},
            )
            draw_epochs(curve, out / "curve.png")
            progress.update(
                task, note=f"epoch {epoch + 1} top-1 {row['top1_full']:.1f} % full, {row['top1_half']:.1f} % half"
            )
