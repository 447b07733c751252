"""Renders the demo picture, a golf ball on mown grass; the same seed gives the same picture.

One unit is the ball's radius; x points right, y up, z away from the camera, and the ball stands above the origin.
Light is linear until `develop`, so that highlights out of focus keep their strength.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

__all__ = ["render"]


def unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


SIZE, OVERSAMPLING = (448, 336), 2
WIDTH, HEIGHT = (edge * OVERSAMPLING for edge in SIZE)
BALL = np.array([0, 1.12, 0])  # it lies on the stems, so its lowest point is above the soil
SUN = unit(np.array([-0.66, 0.66, -0.22]))
SUNLIGHT, SKYLIGHT, GRASSLIGHT = np.array([[2.10, 1.92, 1.62], [0.42, 0.53, 0.72], [0.13, 0.18, 0.04]])
EYE, TARGET = np.array([0, 3.1, -12]), np.array([0.06, 1.28, 0])
FORWARD = unit(TARGET - EYE)
RIGHT = unit(np.cross([0, 1, 0], FORWARD))
CAMERA = np.stack([RIGHT, np.cross(FORWARD, RIGHT), FORWARD])
DISTANCE = (BALL - EYE) @ FORWARD
FOCUS = DISTANCE - 0.6  # on the print
FOCAL = HEIGHT * FOCUS / 4.45  # in pixels: the frame is 4.45 radii high there
APERTURE = 22  # radius in pixels of the disc into which a point at infinity blurs


def defocus(layer: np.ndarray, radius: float) -> np.ndarray:
    """layer: (height, width, channels), premultiplied -> the same through a round aperture."""
    pad = int(radius) + 2
    padded = np.pad(layer, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    y, x = (np.minimum(np.arange(n), n - np.arange(n)) for n in padded.shape[:2])
    disc = np.clip(radius + 0.5 - np.hypot(y[:, None], x), 0, 1)
    spectrum = np.fft.rfft2(padded, axes=(0, 1)) * np.fft.rfft2(disc / disc.sum())[..., None]
    return np.fft.irfft2(spectrum, padded.shape[:2], axes=(0, 1))[pad:-pad, pad:-pad]


def over(front: np.ndarray, back: np.ndarray) -> np.ndarray:
    return front + back * (1 - front[..., 3:])


def dimples(count: int = 336) -> np.ndarray:
    """(count, 3) directions: a Fibonacci lattice, then mutual repulsion until the spirals become even patches."""
    i = np.arange(count) + 0.5
    y, turn = 1 - 2 * i / count, np.pi * (1 + 5**0.5) * i
    points = np.stack([np.sqrt(1 - y * y) * np.cos(turn), y, np.sqrt(1 - y * y) * np.sin(turn)], 1)
    for _ in range(60):
        apart = points[:, None] - points
        points = unit(points + 2e-6 * (apart / (np.linalg.norm(apart, axis=2) + np.eye(count))[..., None] ** 6).sum(1))
    return points


def imprint(normal: np.ndarray) -> np.ndarray:
    """normal: (n, 3) -> ink (n, 1) of the lettering on the side that faces the camera."""
    stamp = Image.new("L", (512, 256))
    draw = ImageDraw.Draw(stamp)
    draw.text((256, 86), "COPPICE", 255, ImageFont.load_default(98), "mm", stroke_width=2)
    draw.text((256, 192), "1", 255, ImageFont.load_default(84), "mm", stroke_width=3)
    stamp = np.asarray(stamp.filter(ImageFilter.GaussianBlur(1.5))) / 255  # smooths its steps
    centre = unit(np.array([-0.02, 0.26, -1]))
    across = unit(np.cross(centre, [-0.13, 1, 0]))
    column, row = ((np.stack([normal @ across, normal @ np.cross(centre, across)]) * 440).T + [256, 128]).T.astype(int)
    printed = (normal @ centre > 0) & (abs(column - 256) < 256) & (abs(row - 128) < 128)
    return np.where(printed, stamp[row.clip(0, 255), column.clip(0, 511)], 0)[:, None]


def ball() -> np.ndarray:
    """(height, width, 4), premultiplied: the ball without the grass in front of it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rays = unit(np.stack([x - WIDTH / 2, HEIGHT / 2 - y, np.full_like(x, FOCAL)], 2) @ CAMERA)
    along = rays @ (BALL - EYE)
    miss = np.sqrt((BALL - EYE) @ (BALL - EYE) - along**2)  # between the ray and the ball's centre
    hit = miss < 1
    view = rays[hit]
    normal = unit(EYE + view * (along[hit] - np.sqrt(1 - miss[hit] ** 2))[:, None] - BALL)

    nearest = (lattice := dimples())[(normal @ lattice.T).argmax(1)]
    cosine = (normal * nearest).sum(1, keepdims=True)
    t = np.arccos(np.clip(cosine, -1, 1)) / 0.094  # 0 in the middle of a dimple, 1 on its rim
    # A spherical cap with a rounded rim: its slope grows in proportion to t and falls to none beyond the rim.
    bumped = unit(normal + (nearest - cosine * normal) / 0.094 * 0.40 * smoothstep(1.06, 0.84, t))

    height = normal[:, 1:2] + BALL[1]
    up = 0.5 + 0.5 * bumped[:, 1:2]
    sun = np.maximum(bumped @ SUN, 0)[:, None] * smoothstep(-0.06, 0.14, normal @ SUN)[:, None]
    shelter = (0.25 + 0.75 * smoothstep(0.1, 1.3, height)) * (1 - 0.2 * smoothstep(1, 0.3, t))
    light = sun * smoothstep(0.25, 0.75, height) * SUNLIGHT + shelter * (up * SKYLIGHT + (1 - up) * GRASSLIGHT * 1.8)
    ink = imprint(normal)
    paint = np.array([0.44, 0.44, 0.43]) * (1 - ink) + np.array([0.006, 0.010, 0.025]) * ink

    facing = (view * bumped).sum(1, keepdims=True)
    mirrored = view - 2 * facing * bumped
    mirror = smoothstep(-0.1, 0.5, mirrored[:, 1:2]) * SKYLIGHT * 1.2 + GRASSLIGHT
    mirror += 16 * np.clip(mirrored @ SUN, 0, 1)[:, None] ** 110
    gloss = 0.7 * shelter * (0.04 + 0.96 * np.clip(1 + facing, 0, 1) ** 5)

    edge = np.clip((1 - miss[hit]) * FOCAL / DISTANCE, 0, 1)[:, None]  # the last pixel of the outline is half covered
    image = np.zeros((HEIGHT, WIDTH, 4))
    image[hit] = np.insert(paint * light + gloss * mirror, 3, 1, axis=1) * edge
    return image


def backdrop(rng: np.random.Generator) -> np.ndarray:
    """(height, width, 4): shaded soil up to the horizon, then trees with the sky between their leaves."""
    horizon = HEIGHT / 2 + FOCAL * FORWARD[1] / FORWARD[2]
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (50, 64, 38))
    draw = ImageDraw.Draw(canvas)
    for x, y, size, tone in zip(*rng.uniform(0, 1, (2, 320)), rng.gamma(2, 1.6, 320), rng.uniform(0.1, 1, 320) ** 2):
        gap = np.array([x * WIDTH, horizon * (1 - y**1.5) - 14])
        paint = (np.array([215, 215, 185]) * tone + [38, 40, 22]).astype(int)
        draw.ellipse((*gap - size, *gap + size), tuple(paint.tolist()))
    draw.rectangle((0, horizon, WIDTH, HEIGHT), (50, 66, 26))
    return np.insert((np.asarray(canvas) / 255) ** 2 * 1.5, 3, 1, axis=2)


def blades(rng: np.random.Generator, count: int = 36000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depths (n,), outlines (n, segments, 4, 2) in pixels and colours (n, segments, 3), the farthest blade first."""
    depth = np.sort(5 * 80 ** rng.beta(0.9, 1.5, count))[::-1]
    x = rng.uniform(-0.6, 0.6, count) * WIDTH / FOCAL * depth
    root = np.stack([x, 0 * x, EYE[2] + (depth + EYE[1] * FORWARD[1]) / FORWARD[2]], 1)
    free = np.linalg.norm(root, axis=1) > 0.62
    depth, root, n = depth[free], root[free], free.sum()
    turn, away = rng.uniform(0, 2 * np.pi, n), np.linalg.norm(root, axis=1)[:, None]
    pushed = 0.75 * smoothstep(1.5, 0.7, away)  # aside by the ball
    lean = np.stack([np.cos(turn), 0 * turn, np.sin(turn)], 1) * rng.gamma(3, 0.13, (n, 1))
    lean += pushed * (0.8 * root / away - lean)
    tall = rng.normal(0.62, 0.13, (n, 1)).clip(0.25, 1) * (1 - 0.25 * pushed)
    wide = FOCAL / depth * rng.uniform(0.022, 0.046, n) * np.maximum(1, depth / FOCUS) ** 0.8

    s = np.linspace(0, 1, 5)[:, None]
    spine = root[:, None] + tall[:, None] * (s * [0, 1, 0] + s**2 * lean[:, None])
    seen = (spine - EYE) @ CAMERA.T
    spot = [WIDTH / 2, HEIGHT / 2] + seen[..., :2] / seen[..., 2:] * [FOCAL, -FOCAL]
    half = unit(np.gradient(spot, axis=1) + 1e-9)[..., ::-1] * [1, -1] * wide[:, None, None] * np.sqrt(1.04 - s)
    one, other = spot - half, spot + half
    outline = np.stack([one[:, :-1], one[:, 1:], other[:, 1:], other[:, :-1]], 2)

    middle = (spine[:, :-1] + spine[:, 1:]) / 2
    offset = middle - BALL
    beyond = np.maximum(-offset @ SUN, 1e-3)[..., None]  # behind the ball, as the sun sees it
    aside = np.linalg.norm(offset + beyond * SUN, axis=-1, keepdims=True)
    sun = smoothstep(0.94 - 0.05 * beyond, 1.06 + 0.05 * beyond, aside)
    sky = smoothstep(-0.3, 2.3, np.linalg.norm(offset + [0, 0.6, 0], axis=-1, keepdims=True))
    glow = abs(np.cos(turn - 0.6)) * rng.uniform(0.5, 1.1, n)
    light = sun * (0.3 + 0.7 * glow)[:, None, None] * SUNLIGHT + sky * SKYLIGHT * 0.6
    tone, dry = rng.beta(1.5, 2.2, (n, 1)), rng.uniform(0, 1, (n, 1)) < 0.04
    leaf = np.where(dry, [0.26, 0.20, 0.09], [0.036, 0.082, 0.018] + tone * [0.105, 0.125, 0.026])
    return depth, outline, leaf[:, None] * light * (0.08 + 0.92 * smoothstep(-0.05, 0.7, middle[..., 1:2]))


def develop(light: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """light: (height, width, 3) -> the picture: glare, vignette, film curve and grain."""
    light = 0.94 * light + 0.06 * defocus(light, 26)
    light = light.reshape(SIZE[1], OVERSAMPLING, SIZE[0], OVERSAMPLING, 3).mean((1, 3)).clip(0)
    y, x = np.mgrid[-1 : 1 : SIZE[1] * 1j, -1 : 1 : SIZE[0] * 1j]
    x = light * (1.08 - 0.22 * (x * x + y * y))[..., None]
    film = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)  # Narkowicz's fit of the ACES curve
    coded = film.clip(0, 1) ** (1 / 2.2)
    coded += (rng.normal(0, 0.016, (*SIZE[::-1], 1)) + rng.normal(0, 0.006, (*SIZE[::-1], 3))) * (1.1 - coded)
    return Image.fromarray((coded.clip(0, 1) * 255 + 0.5).astype(np.uint8))


def render(seed: int) -> Image.Image:
    """The scene in slices from far to near, each blurred by its distance from the focus."""
    rng = np.random.default_rng(seed)
    image = defocus(backdrop(rng), APERTURE)
    depth, outline, colour = blades(rng)
    ink = (np.sqrt(colour.clip(0, 1)) * 255).astype(int).tolist()  # the square root spends Pillow's 8 bits evenly
    slices = [np.inf, *DISTANCE * 1.28 ** np.arange(7, 0, -1), *DISTANCE - [-1.2, -0.5, 0, 0.6, 1.2, 2, 3, 4.2], 0]
    for far, near in pairwise(slices):
        if far == DISTANCE:
            image = over(ball(), image)
        canvas = Image.new("RGBA", (WIDTH, HEIGHT))
        draw = ImageDraw.Draw(canvas)
        chosen = np.flatnonzero((depth <= far) & (depth > near))
        for blade in chosen:
            for quad, paint in zip(outline[blade].reshape(-1, 8).tolist(), ink[blade]):
                draw.polygon(quad, (*paint, 255))
        layer = (np.asarray(canvas) / 255) ** 2
        image = over(defocus(layer, APERTURE * abs(1 - FOCUS / depth[chosen].mean())), image)
    return develop(image[..., :3], rng)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    render(arguments.seed).save(arguments.output, quality=90, optimize=True)
