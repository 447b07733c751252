"""Trains a small elastic transformer, taught by a larger one: `coppice-export train`.

Two phases. `prepare` cuts a few random crops of each photograph and stores the teacher's 1000-way opinion of each, so
that the teacher runs once and not every epoch. `train` then fits the student to labels and opinions, with a random
token budget at every step, so that one set of weights serves the whole ladder. Both resume where they stopped.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from .config import FINE, MINI, MINI_SOFTMAX, VIT_TINY, ViTConfig
from .labels import IMAGENETTE
from .optimizer import descend, learning_rate, parameter_groups, progress_bar, save_checkpoint, update_average
from .photographs import class_numbers, find_photographs
from .plots import draw_epochs
from .preprocess import preprocess
from .reference import VisionTransformer, load_reference
from .resample import resample_table
from .views import random_crop, to_tensor
from .weights import SourceError

__all__ = ["RECIPES", "Recipe", "evaluate", "prepare", "read_photographs", "starting_state", "train"]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result besides the data.

    `epochs`: a fraction ends in the middle of one.
    `view_pixels`: the edge of a stored crop, which a model with another input resizes when it sees it.
    `bfloat16`: the student's features are computed with 8 significant bits; its weights, heads and losses keep 24.
    """

    seed: int = 0
    views: int = 4
    view_pixels: int = 160
    smallest_crop: float = 0.35
    epochs: float = 40
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
    bfloat16: bool = False


RECIPES = {
    MINI_SOFTMAX.name: Recipe(epochs=26),
    MINI.name: Recipe(epochs=8, learning_rate=1e-3, warmup_steps=150, bfloat16=True),
    # The photographs have 160 pixels on their short side, so larger views would store nothing more.
    FINE.name: Recipe(
        epochs=0.5,
        batch=32,
        learning_rate=5e-4,
        warmup_steps=20,
        mix_probability=0.0,
        smallest_keep=0.25,
        full_share=0.2,
        average_decay=0.98,
        bfloat16=True,
    ),
}


def read_photographs(archive: Path) -> tuple[list[Image.Image], np.ndarray]:
    """Decoded RGB photographs of a tar with one folder per synset, in name order, and their class numbers."""
    found = find_photographs(archive)
    numbers = class_numbers(found, [name for _, name, _ in IMAGENETTE])
    return [Image.fromarray(photograph.pixels()) for photograph in found], numbers


def prepare(archive: Path, teacher_weights: Path, out: Path, recipe: Recipe) -> None:
    """Write `pixels.npy` (views, count, size, size, 3), `teacher.npy` (views, count, 1000) and `labels.npy` (count)."""
    if (out / "labels.npy").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    images, labels = read_photographs(archive)
    teacher = load_reference(VIT_TINY, teacher_weights)
    size, rng = recipe.view_pixels, np.random.default_rng(recipe.seed)
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

    def forward(self, image: Tensor, keep: tuple[int, ...], bfloat16: bool) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            feature = self.model.features(image, keep)[0].float()
        return self.model.head(feature), self.taught(feature)


def starting_state(run: Path, config: ViTConfig) -> dict[str, Tensor]:
    """What a run of `train` has learned, its position table interpolated to this model's grid.

    Raises SourceError where the arrays of the two models differ in more than that.
    """
    state, name = torch.load(run / "checkpoint.pt", weights_only=True)["average"], "model.pos_embed"
    try:
        table = resample_table(state[name].numpy(), config.prefix_tokens, config.grid)
        state[name] = torch.from_numpy(table)
        _Student(config).load_state_dict(state)
    except (KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{run} holds no run that {config.name} can begin with: {reason}") from None
    return state


def _random_keep(config: ViTConfig, recipe: Recipe, rng: np.random.Generator) -> tuple[int, ...]:
    """The full budget for `full_share` of the steps, else falling counts down to `smallest_keep` of the patches.

    A stage that can reduce its tokens by so much only leaves its least.
    """
    if rng.random() < recipe.full_share:
        return (config.patches,) * len(config.stages)
    smallest = round(recipe.smallest_keep * config.patches)
    counts, keep = np.sort(rng.integers(smallest, config.patches + 1, len(config.stages)))[::-1], [config.patches]
    for stage, count in zip(config.stages, counts):
        keep.append(max(int(count), stage.least(keep[-1])))
    return tuple(keep[1:])


def _batch(pixels: np.ndarray, views: np.ndarray, pick: np.ndarray, config: ViTConfig) -> Tensor:
    """The picked photographs in their views, at the model's size: float32 (batch, 3, crop, crop)."""
    crops, size = [pixels[view, i] for view, i in zip(views, pick)], (config.preprocessing.crop,) * 2
    if crops[0].shape[:2] != size:
        crops = [np.asarray(Image.fromarray(crop).resize(size, Image.Resampling.BICUBIC)) for crop in crops]
    return to_tensor(np.stack(crops), config.preprocessing)


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


def train(
    prepared: Path,
    validation: Path,
    out: Path,
    config: ViTConfig,
    recipe: Recipe,
    threads: int = 2,
    start: dict[str, Tensor] | None = None,
    checkpoint_steps: int = 50,
) -> None:
    """Fit the student, from `start` or from scratch.

    Leaves `checkpoint.pt` now and then, and `curve.json`, `curve.png` and `weights.npz` after every epoch. Raises
    SourceError for fewer photographs than a batch and for an `out` that holds the run of another model or recipe.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    pixels, opinions = (np.load(prepared / f"{name}.npy", mmap_mode="r") for name in ("pixels", "teacher"))
    labels, held_out = np.load(prepared / "labels.npy"), read_photographs(validation)
    per_epoch = len(labels) // recipe.batch
    if not per_epoch:
        raise SourceError(f"{prepared}: expected at least {recipe.batch} photographs for a batch, found {len(labels)}.")
    settings, saved = {"model": repr(config), "recipe": asdict(recipe)}, None
    if (out / "checkpoint.pt").exists():
        saved = torch.load(out / "checkpoint.pt", weights_only=True)
        if changed := [name for name, value in settings.items() if saved.get("settings", {}).get(name) != value]:
            raise SourceError(f"{out} holds a run with another {' and another '.join(changed)}: choose another folder.")
    out.mkdir(parents=True, exist_ok=True)
    student, average = _Student(config), _Student(config)
    if start:
        student.load_state_dict(start)
    student.to(memory_format=torch.channels_last)
    average.load_state_dict(student.state_dict())
    optimizer = torch.optim.AdamW(parameter_groups(student, recipe.weight_decay))
    parts = {"student": student, "average": average, "optimizer": optimizer}
    first, total, seconds, curve = 0, 0.0, 0.0, []
    if saved:
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        first, total, seconds, curve = (saved[name] for name in ("step", "total", "seconds", "curve"))
    steps = max(1, round(recipe.epochs * per_epoch))
    half = tuple(config.patches // 2 for _ in config.reduce_at)
    with progress_bar() as progress:
        task = progress.add_task("train", total=steps, completed=first, note="")
        for step in range(first, steps):
            started = time.monotonic()
            epoch, number = divmod(step, per_epoch)
            # What a step draws depends on its number alone, so a resumed run draws what an uninterrupted one would.
            rng = np.random.default_rng((recipe.seed, epoch))
            order, view = rng.permutation(len(labels)), rng.integers(0, recipe.views, len(labels))
            rng = np.random.default_rng((recipe.seed, epoch, number))
            pick = np.sort(order[number * recipe.batch : (number + 1) * recipe.batch])
            image = _jitter(_batch(pixels, view[pick], pick, config), rng)
            truth = F.one_hot(torch.from_numpy(labels[pick]), config.classes).float()
            opinion = torch.softmax(torch.from_numpy(np.stack([opinions[view[i], i] for i in pick])).float(), 1)
            if rng.random() < recipe.mix_probability:
                shuffle = torch.from_numpy(rng.permutation(len(pick)))  # neighbours share a class: `pick` is sorted
                image, (truth, opinion) = _mix(image[shuffle], [truth[shuffle], opinion[shuffle]], rng)
            student.train()
            logits, taught = student(image, _random_keep(config, recipe, rng), recipe.bfloat16)
            loss = F.cross_entropy(logits, truth, label_smoothing=recipe.label_smoothing)
            loss = loss + recipe.teacher_weight * F.cross_entropy(taught, opinion)
            rate = learning_rate(step, steps, recipe.learning_rate, recipe.warmup_steps)
            descend(loss, student, optimizer, rate)
            update_average(average, student, step, recipe.average_decay)
            total, seconds = total + loss.item(), seconds + time.monotonic() - started
            progress.update(task, advance=1, note=f"epoch {epoch + 1} loss {loss.item():.3f}")
            if last := step + 1 in (steps, (epoch + 1) * per_epoch):
                _save_weights(average.model, out)
                row = {"epoch": (step + 1) / per_epoch, "loss": total / (number + 1), "seconds": seconds}
                row["top1_full"] = evaluate(average.model, *held_out)
                row["top1_half"] = evaluate(average.model, *held_out, half)
                curve.append(row)
                total, seconds = 0.0, 0.0
                (out / "curve.json").write_text(json.dumps(curve, indent=1) + "\n")
                draw_epochs(curve, out / "curve.png")
                note = f"epoch {epoch + 1} top-1 {row['top1_full']:.1f} % full, {row['top1_half']:.1f} % half"
                progress.update(task, note=note)
            if last or (step + 1) % checkpoint_steps == 0:
                state = {name: part.state_dict() for name, part in parts.items()}
                progressed = {
                    "settings": settings,
                    "step": step + 1,
                    "total": total,
                    "seconds": seconds,
                    "curve": curve,
                }
                save_checkpoint(out / "checkpoint.pt", state | progressed)


def _save_weights(model: VisionTransformer, out: Path) -> None:
    """What `convert` reads."""
    state = {name: value.numpy() for name, value in model.state_dict().items() if value.is_floating_point()}
    np.savez(out / "weights.npz", **state)
