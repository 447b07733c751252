"""Writes bundles: the folder that a board runs. The same inputs give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from .bundle_files import MANIFEST, BundleError, listed, occupied, staged, write_json
from .card import UNSTATED_LICENCE, model_card
from .check import PICTURES, Report, check_model, logits_of, sample_images, session, steady, used_operators
from .config import ViTConfig
from .cost import incoming_counts, model_macs
from .graph import DOMAIN, OPERATOR_VERSION
from .model import DEFAULT, Flavour, build_model
from .parity import check_blocks

__all__ = ["BundleError", "BundleSpec", "Rung", "naming_faults", "validate", "write_bundle"]

RUNTIME = "0.1.0"
_SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Rung:
    """A named token budget: patch tokens kept at each stage, and its measured top-1 in percent if there is one."""

    name: str
    keep: tuple[int, ...]
    top1: float | None = None


@dataclass(frozen=True)
class BundleSpec:
    """What a bundle says about itself besides the model."""

    name: str
    version: str
    labels: tuple[str, ...]
    rungs: tuple[Rung, ...] = ()
    default: str = ""
    accuracy_data: str = ""
    card: str = field(default="", repr=False)
    licence: str = field(default="", repr=False)


def _costs(config: ViTConfig, rungs: Sequence[Rung]) -> list[tuple[int, Rung]]:
    """Rungs with their multiply-adds, the dearest first."""
    return sorted(((model_macs(config, rung.keep), rung) for rung in rungs), key=lambda pair: -pair[0])


def _keep_from(config: ViTConfig, rungs: Sequence[Rung]) -> dict[str, float]:
    """The smallest ratio in whole percent whose budget is nearest to each rung's, where there is one."""
    costs, chosen = _costs(config, rungs), {}
    for percent in range(100, 0, -1) if rungs else ():
        target = model_macs(config, incoming_counts(config, percent / 100))
        chosen[min(costs, key=lambda pair: abs(pair[0] - target))[1].name] = percent / 100
    return chosen


def naming_faults(spec) -> list[str]:
    """Sentences on `spec.name` and `spec.version`; none, if both are right."""
    faults = []
    if not _NAME.fullmatch(spec.name):
        faults.append(f"name must match {_NAME.pattern}, found {spec.name!r}")
    if not _SEMVER.fullmatch(spec.version):
        faults.append(f"version must be SemVer, found {spec.version!r}")
    return faults


def validate(folder: Path, config: ViTConfig, spec: BundleSpec, overwrite: bool) -> None:
    """Raises BundleError with all faults at once; nothing is built."""
    faults = naming_faults(spec)
    if len(spec.labels) != config.classes:
        faults.append(f"expected {config.classes} labels, found {len(spec.labels)}")
    names = [rung.name for rung in spec.rungs]
    if len(set(names)) != len(names):
        faults.append(f"rung names must differ, found {names}")
    if spec.default not in (names or [""]):
        faults.append(f"default must be one of the rungs {names}, found {spec.default!r}")
    fitting = []
    for rung in spec.rungs:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", rung.name):
            faults.append(f"rung names are lower case and start with a letter, found {rung.name!r}")
        if rung.top1 is not None and not 0 <= rung.top1 <= 100:
            faults.append(f"rung {rung.name}: top-1 is a percentage, found {rung.top1}")
        if fault := config.fault_of(rung.keep):
            faults.append(f"rung {rung.name}: {fault}")
        else:
            fitting.append(rung)
    chosen = _keep_from(config, fitting)
    for rung in fitting:
        if rung.name not in chosen:
            faults.append(
                f"rung {rung.name} {rung.keep} is never the nearest to a keep ratio in whole percent; drop or move it"
            )
    if fault := occupied(folder, overwrite):
        faults.append(fault)
    if faults:
        raise BundleError("; ".join(faults) + ".")


def _ladder(config: ViTConfig, rungs: tuple[Rung, ...]) -> list[dict]:
    """Rungs from most to fewest multiply-adds, each with the smallest `--keep` ratio that selects it."""
    costs, chosen = _costs(config, rungs), _keep_from(config, rungs)
    ladder = []
    for position, (macs, rung) in enumerate(costs):
        entry = {"name": rung.name, "keep": list(rung.keep), "macs": macs}
        entry["keep_from"] = 0 if position == len(costs) - 1 else chosen[rung.name]
        ladder.append(entry | ({"top1": rung.top1} if rung.top1 is not None else {}))
    return ladder


def _manifest(config: ViTConfig, spec: BundleSpec, operators: list[str], golden: list[str]) -> dict:
    stages = len(config.reduce_at)
    manifest = {
        "format": 1,
        "name": spec.name,
        "version": spec.version,
        "runtime": RUNTIME,
        "operators": {"domain": DOMAIN, "version": OPERATOR_VERSION, "used": operators},
        "model": "model.onnx",
        "input": {"name": "image", "shape": [1, 3, config.preprocessing.crop, config.preprocessing.crop]},
        "keep": {
            "name": "keep",
            "stages": stages,
            "patches": config.patches,
            "grid": config.grid,
            "prefix": config.prefix_tokens,
            "blocks": list(config.reduce_at),
        },
        "outputs": {
            "logits": {"name": "logits", "shape": [1, config.classes]},
            "kept": [f"kept_{s}" for s in range(stages)],
        },
        "ladder": _ladder(config, spec.rungs),
    }
    if spec.rungs:
        manifest["default"] = spec.default
    if spec.accuracy_data:
        manifest["accuracy"] = {"data": spec.accuracy_data, "metric": "top1"}
    return manifest | {"golden": golden}


def _preprocessor(config: ViTConfig) -> dict:
    spec = config.preprocessing
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": spec.short_side},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": spec.crop, "width": spec.crop},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(spec.mean),
        "image_std": list(spec.std),
    }


def _huggingface(config: ViTConfig, spec: BundleSpec) -> dict:
    return {
        "architectures": ["ViTForImageClassification"],
        "model_type": "vit",
        "image_size": config.preprocessing.crop,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.hidden,
        "num_labels": config.classes,
        "id2label": {str(i): label for i, label in enumerate(spec.labels)},
        "label2id": {label: i for i, label in enumerate(spec.labels)},
    }


def _write_golden(folder: Path, config: ViTConfig, model: bytes, spec: BundleSpec) -> list[str]:
    """One case for the first and one for the last rung, or one with all tokens: input, budget, expected logits.

    Of pictures on which rounding decides nothing: another machine rounds otherwise.
    """
    run = partial(logits_of, session(model), config)
    budgets = [spec.rungs[0].keep, spec.rungs[-1].keep] if spec.rungs else [incoming_counts(config, 1)]
    names = []
    pictures = iter(sample_images(config, PICTURES))
    for number, keep in enumerate(budgets):
        image = next((picture for picture in pictures if steady(run, picture, keep)), None)
        if image is None:
            raise BundleError(
                f"{folder.name}: rounding decides which tokens go on at budget {keep} in every picture that was tried, "
                "so no golden case holds on another machine: give trained weights."
            )
        case = folder / "golden" / str(number)
        case.mkdir(parents=True)
        (case / "input.bin").write_bytes(image.astype("<f4").tobytes())
        (case / "logits.bin").write_bytes(run(image, keep).astype("<f4").tobytes())
        # Instruction sets sum in different orders: the difference between AVX-512, NEON and scalar is below 1e-4.
        write_json(case / "case.json", {"keep": list(keep), "tolerance": 1e-4})
        names.append(f"golden/{number}")
    return names


def write_bundle(
    folder: Path,
    config: ViTConfig,
    state: dict[str, np.ndarray],
    spec: BundleSpec,
    overwrite: bool = False,
    flavour: Flavour = DEFAULT,
) -> Report:
    """Build, check and write; the folder appears complete or not at all.

    Raises BundleError for a specification that does not fit, CheckError for a graph that does not equal its source.
    """
    validate(folder, config, spec, overwrite)
    model = build_model(config, state, flavour)
    check_blocks(model, config.tokens)
    report = check_model(model, config, state, {rung.name: rung.keep for rung in spec.rungs})
    data = model.SerializeToString(deterministic=True)
    # The graph, the golden pictures, and a mebibyte for the texts.
    needed_bytes = len(data) + 2 * 4 * 3 * config.preprocessing.crop**2 + 2**20
    with staged(folder, needed_bytes) as staging:
        (staging / "model.onnx").write_bytes(data)
        architecture, preprocessor = _huggingface(config, spec), _preprocessor(config)
        write_json(staging / "config.json", architecture)
        write_json(staging / "preprocessor_config.json", preprocessor)
        (staging / "LICENSE").write_text(spec.licence or UNSTATED_LICENCE, encoding="utf-8")
        golden = _write_golden(staging, config, data, spec)
        manifest = _manifest(config, spec, list(used_operators(model)), golden)
        card = spec.card or model_card(manifest, architecture, preprocessor, spec.licence)
        (staging / "README.md").write_text(card, encoding="utf-8")
        write_json(staging / MANIFEST, manifest | {"files": listed(staging)})
    return report
