"""A picture of the tokens that each stage keeps, rung by rung, over the photograph as the model sees it."""

from __future__ import annotations

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

from .bundle_files import Bundle
from .config import Preprocessing
from .preprocess import preprocess

__all__ = ["draw", "kept_patches", "seen_square"]

PANEL, GAP, CAPTION = 224, 10, 20
DIM = 0.16  # of the brightness of a patch that was dropped


def kept_patches(
    runner: onnxruntime.InferenceSession, bundle: Bundle, pixels: np.ndarray
) -> dict[str, tuple[int, float, list[np.ndarray]]]:
    """By rung: the best class, its softmax, and for each stage bool (grid, grid), which patches are still there.

    pixels: uint8 (height, width, 3).
    """
    outputs, keep = bundle.manifest["outputs"], bundle.manifest["keep"]
    names = [outputs["logits"]["name"], *outputs["kept"]]
    image, found = preprocess(pixels, bundle.preprocessing), {}
    for rung, counts in bundle.rungs.items():
        logits, *stages = runner.run(names, bundle.feeds(image, counts))
        scores = np.exp(logits[0] - logits[0].max())
        masks = []
        for positions in stages:
            mask = np.zeros(keep["patches"], bool)
            patches = positions.ravel() - keep["prefix"]
            mask[patches[patches >= 0]] = True  # below: tokens before the patches, and -1 for a fused one
            masks.append(mask.reshape(keep["grid"], keep["grid"]))
        best = int(scores.argmax())
        found[rung] = best, float(scores[best] / scores.sum()), masks
    return found


def seen_square(pixels: np.ndarray, spec: Preprocessing, edge: int) -> np.ndarray:
    """uint8 (edge, edge, 3): what the resize and the centre crop leave of the photograph."""
    height, width = pixels.shape[:2]
    side = min(height, width) * spec.crop / spec.short_side
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(pixels).resize((edge, edge), Image.Resampling.BICUBIC, box=box))


def draw(bundle: Bundle, pixels: np.ndarray, found: dict[str, tuple[int, float, list[np.ndarray]]]) -> Image.Image:
    """A row for each rung: the photograph, then one panel a stage with the dropped patches dimmed."""
    grid = bundle.manifest["keep"]["grid"]
    edge = max(1, PANEL // grid) * grid
    square = seen_square(pixels, bundle.preprocessing, edge)
    columns = 1 + len(bundle.manifest["outputs"]["kept"])
    row = edge + CAPTION + GAP
    sheet = Image.new("RGB", (columns * (edge + GAP) + GAP, len(found) * row + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (rung, (best, share, masks)) in enumerate(found.items()):
        top = GAP + number * row
        captions = [f"{rung}: {bundle.labels[best]} {100 * share:.0f} %"]
        captions += [f"stage {stage}: {mask.sum()} of {mask.size}" for stage, mask in enumerate(masks)]
        for column, (caption, mask) in enumerate(zip(captions, [np.ones((grid, grid), bool), *masks])):
            left = GAP + column * (edge + GAP)
            bright = np.where(mask, 1.0, DIM).repeat(edge // grid, 0).repeat(edge // grid, 1)
            panel = np.round(square * bright[:, :, None]).astype(np.uint8)
            sheet.paste(Image.fromarray(panel), (left, top + CAPTION))
            pen.text((left, top + 2), _fitting(caption, font, edge), fill="black", font=font)
    return sheet


def _fitting(text: str, font: ImageFont.FreeTypeFont, pixels: int) -> str:
    """The text, cut where it would run into the next panel."""
    if font.getlength(text) <= pixels:
        return text
    while text and font.getlength(text + "…") > pixels:
        text = text[:-1]
    return text + "…"
