"""The folder that a board runs."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coppice_export import bundle as bundle_module
from coppice_export.bundle import BundleError, BundleSpec, Rung, write_bundle
from coppice_export.check import CheckError, session
from coppice_export.config import MINI
from coppice_export.cost import incoming_counts, model_macs
from coppice_export.model import build_model

SHIPPED = Path(__file__).resolve().parents[1] / "bundles"
# Runs the command line where PyTorch and what comes with it cannot be imported.
WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "timm", "matplotlib"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Absent())
from coppice_export.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def written(tiny, tiny_state, tiny_spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    write_bundle(folder, tiny, tiny_state, tiny_spec)
    return folder


@pytest.fixture(scope="module")
def manifest(written):
    return json.loads((written / "bundle.json").read_text())


def test_manifest_has_the_keys_of_the_contract(manifest):
    """Keys and their order are those of format 1."""
    assert list(manifest) == [
        *("format", "name", "version", "runtime", "operators", "model", "input", "keep", "outputs", "ladder"),
        *("default", "accuracy", "golden", "files"),
    ]


def test_manifest_says_what_the_model_takes_and_gives(manifest):
    """Input, budget, outputs and operators are those of the graph."""
    assert manifest["operators"] == {
        "domain": "dev.coppice",
        "version": 1,
        "used": ["EncoderBlock"],
    }
    assert manifest["input"] == {"name": "image", "shape": [1, 3, 32, 32]}
    assert manifest["keep"] == {"name": "keep", "stages": 2, "patches": 16, "grid": 4, "prefix": 1, "blocks": [1, 3]}
    assert manifest["outputs"] == {"logits": {"name": "logits", "shape": [1, 10]}, "kept": ["kept_0", "kept_1"]}


def test_ladder_has_costs_and_measured_accuracy(manifest, tiny):
    """Rungs fall in multiply-adds, and carry the top-1 they were given."""
    full, half = manifest["ladder"]
    assert (full["name"], full["keep"], full["top1"]) == ("full", [16, 16], 80.0)
    assert (half["name"], half["keep"], half["top1"], half["keep_from"]) == ("half", [8, 4], 70.5, 0)
    assert (full["macs"], half["macs"]) == (model_macs(tiny, (16, 16)), model_macs(tiny, (8, 4)))
    assert manifest["accuracy"] == {"data": "some photographs", "metric": "top1"}


def test_checksums_list_every_other_file(written, manifest):
    """Each file but the manifest stands there once, sorted, with its size and SHA-256."""
    files = sorted(p for p in written.rglob("*") if p.is_file() and p.name != "bundle.json")
    assert list(manifest["files"]) == sorted(p.relative_to(written).as_posix() for p in files)
    for name, entry in manifest["files"].items():
        data = (written / name).read_bytes()
        assert entry == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}, name


@pytest.mark.parametrize(("case", "keep"), [("golden/0", [16, 16]), ("golden/1", [8, 4])])
def test_golden_case_is_reproduced_by_the_model(written, manifest, case, keep):
    """The first and the last rung have a case: input, budget and the logits that the model gives."""
    assert case in manifest["golden"]
    assert json.loads((written / case / "case.json").read_text()) == {"keep": keep, "tolerance": 1e-4}
    image = np.fromfile(written / case / "input.bin", "<f4").reshape(1, 3, 32, 32)
    (logits,) = session(written / "model.onnx").run(["logits"], {"image": image, "keep": np.array(keep)})
    np.testing.assert_allclose(np.fromfile(written / case / "logits.bin", "<f4"), logits[0], rtol=0, atol=1e-4)


def test_preprocessing_is_written_in_the_keys_of_hugging_face(written):
    """Bicubic resize of the short side, centre crop, and normalisation."""
    assert json.loads((written / "preprocessor_config.json").read_text()) == {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": 36},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 32, "width": 32},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


def test_labels_are_written_in_both_directions(written):
    """id2label and label2id are each other's inverse."""
    config = json.loads((written / "config.json").read_text())
    assert config["id2label"] == {str(i): f"label {i}" for i in range(10)}
    assert {str(i): label for label, i in config["label2id"].items()} == config["id2label"]


def test_same_inputs_give_the_same_bytes(written, tiny, tiny_state, tiny_spec, tmp_path, contents):
    """A second export elsewhere has the same files, byte for byte."""
    write_bundle(tmp_path / "again", tiny, tiny_state, tiny_spec)
    assert contents(tmp_path / "again") == contents(written)


@pytest.mark.parametrize("percent", range(1, 101))
def test_ratio_selects_the_rung_of_the_nearest_cost(percent):
    """For each whole percent, the rung that keep_from selects is the nearest in multiply-adds to that share."""
    rungs = (Rung("full", (100, 100)), Rung("medium", (70, 49)), Rung("low", (50, 25)), Rung("lowest", (30, 9)))
    ladder = bundle_module._ladder(MINI, rungs)
    selected = max((r for r in ladder if r["keep_from"] <= percent / 100), key=lambda r: r["keep_from"])
    wanted = model_macs(MINI, incoming_counts(MINI, percent / 100))
    distances = {r["name"]: abs(r["macs"] - wanted) for r in ladder}
    assert distances[selected["name"]] == min(distances.values())


def test_faults_of_a_specification_are_reported_at_once(tiny, tiny_state, tmp_path):
    """One refusal names every fault, and nothing is written."""
    rungs = (Rung("Full", (16, 16)), Rung("low", (8,)), Rung("low", (4, 8)), Rung("best", (16, 15), float("nan")))
    spec = BundleSpec("No Name", "1.0", ("cat",), rungs, "medium")
    with pytest.raises(BundleError) as refusal:
        write_bundle(tmp_path / "bad", tiny, tiny_state, spec)
    for fault in (
        "name must match",
        "SemVer, found '1.0'",
        "expected 10 labels, found 1",
        "rung names must differ",
        "default must be one of",
        "lower case and start with a letter, found 'Full'",
        "rung low: expected 2 counts that fall from at most 16, found (8,)",
        "rung low: expected 2 counts that fall from at most 16, found (4, 8)",
        "rung best: top-1 is a percentage, found nan",
    ):
        assert fault in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("field", "value"), [("name", "a/b"), ("name", "../x"), ("name", ""), ("version", "1.0.0.0")])
def test_name_and_version_must_fit_a_folder_and_semver(tiny, tiny_state, tiny_spec, tmp_path, field, value):
    """A name with a path in it, an empty one or a version of four parts is refused with what was found."""
    with pytest.raises(BundleError, match=f"{field} must .*found {value!r}"):
        write_bundle(tmp_path / "bad", tiny, tiny_state, replace(tiny_spec, **{field: value}))


def test_rung_that_no_ratio_selects_is_refused(tiny, tiny_state, tiny_spec, tmp_path):
    """Two rungs of one cost: no ratio would ever give the second one."""
    spec = replace(tiny_spec, rungs=(*tiny_spec.rungs, Rung("twin", (8, 4))))
    with pytest.raises(BundleError, match=r"rung twin \(8, 4\) is never the nearest"):
        write_bundle(tmp_path / "bad", tiny, tiny_state, spec)


def test_failed_check_writes_no_bundle(monkeypatch, tiny, tiny_state, tiny_spec, tmp_path):
    """A graph that differs from its source leaves the folder's parent as it was: nothing finished, nothing begun."""
    wrong = build_model(tiny, tiny_state | {"head.bias": tiny_state["head.bias"] + 1})
    monkeypatch.setattr(bundle_module, "build_model", lambda *given: wrong)
    with pytest.raises(CheckError):
        write_bundle(tmp_path / "bad", tiny, tiny_state, tiny_spec)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_writing_keeps_the_old_bundle(tiny, tiny_state, tiny_spec, tmp_path, contents):
    """A card that cannot be encoded fails half way: the old bundle stays whole and no partial folder is left."""
    write_bundle(tmp_path / "tiny", tiny, tiny_state, tiny_spec)
    before = contents(tmp_path)
    with pytest.raises(UnicodeEncodeError):
        write_bundle(tmp_path / "tiny", tiny, tiny_state, replace(tiny_spec, card="\ud800"), overwrite=True)
    assert contents(tmp_path) == before


def test_existing_folder_is_replaced_only_on_request(tiny, tiny_state, tiny_spec, tmp_path):
    """Without `overwrite` the old bundle stays; with it the new one has no file of the old."""
    write_bundle(tmp_path / "tiny", tiny, tiny_state, tiny_spec)
    (tmp_path / "tiny" / "left-over.txt").write_text("old")
    with pytest.raises(BundleError, match="exists; choose another folder or pass --overwrite"):
        write_bundle(tmp_path / "tiny", tiny, tiny_state, tiny_spec)
    write_bundle(tmp_path / "tiny", tiny, tiny_state, tiny_spec, overwrite=True)
    assert not (tmp_path / "tiny" / "left-over.txt").exists()


def test_folder_that_is_no_bundle_is_never_replaced(tiny, tiny_state, tiny_spec, tmp_path):
    """`overwrite` does not delete somebody's photographs."""
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photograph.jpg").write_text("precious")
    with pytest.raises(BundleError, match="is no bundle, so it is not replaced"):
        write_bundle(tmp_path / "holiday", tiny, tiny_state, tiny_spec, overwrite=True)
    assert (tmp_path / "holiday" / "photograph.jpg").read_text() == "precious"


def test_empty_ladder_has_no_default_and_one_golden_case(tiny, tiny_state, tiny_spec, tmp_path):
    """A bundle may leave the budget to its caller; its golden case keeps all tokens."""
    write_bundle(tmp_path / "free", tiny, tiny_state, replace(tiny_spec, rungs=(), default=""))
    manifest = json.loads((tmp_path / "free" / "bundle.json").read_text())
    assert (manifest["ladder"], manifest["golden"], "default" in manifest) == ([], ["golden/0"], False)
    assert json.loads((tmp_path / "free" / "golden/0/case.json").read_text())["keep"] == [16, 16]


def test_default_without_a_ladder_is_refused(tiny, tiny_state, tiny_spec, tmp_path):
    """A default that names no rung is not silently dropped."""
    with pytest.raises(BundleError, match=r"default must be one of the rungs \[\], found 'half'"):
        write_bundle(tmp_path / "bad", tiny, tiny_state, replace(tiny_spec, rungs=()))


def test_model_without_stages_has_stages_zero(tiny, tiny_state, tiny_spec, tmp_path):
    """Nothing is reduced: no budget, no ladder, no kept positions."""
    spec = replace(tiny_spec, rungs=(), default="")
    write_bundle(tmp_path / "plain", replace(tiny, reductions=()), tiny_state, spec)
    manifest = json.loads((tmp_path / "plain" / "bundle.json").read_text())
    assert (manifest["keep"]["stages"], manifest["ladder"], manifest["outputs"]["kept"]) == (0, [], [])


def _command(recipe: Path) -> list[str]:
    """The arguments of the export that the recipe's page ends with, but for what is to be replaced."""
    page = (recipe / "README.md").read_text(encoding="utf-8")
    command = re.search(r"^target/venv/bin/coppice-export (convert [^`]*)", page, re.MULTILINE)[1]
    words = shlex.split(command.replace("\\\n", " "))
    place = words.index("--out")
    assert words[place + 1 :] == [f"export/bundles/{recipe.name}", "--overwrite"]
    return words[:place]


@pytest.mark.parametrize("name", sorted(folder.name for folder in SHIPPED.iterdir()))
def test_shipped_bundle_is_what_its_recipe_gives_without_pytorch(root, tmp_path, contents, name):
    """The recipe's command gives the shipped files byte for byte, in a Python that has no PyTorch.

    Only the golden logits depend on the machine: they are this processor's sums, equal within the case's tolerance.
    """
    arguments = [*_command(root / "export" / "recipes" / name), "--out", tmp_path / name]
    run = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *arguments], cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found, expected = contents(tmp_path / name), contents(SHIPPED / name)
    for case in ("golden/0", "golden/1"):
        logits = [np.frombuffer(files.pop(f"{case}/logits.bin"), "<f4") for files in (found, expected)]
        np.testing.assert_allclose(*logits, rtol=0, atol=1e-4)
    manifests = [json.loads(files.pop("bundle.json")) for files in (found, expected)]
    for manifest in manifests:
        for case in manifest["golden"]:
            del manifest["files"][f"{case}/logits.bin"]["sha256"]
    assert manifests[0] == manifests[1]
    assert found == expected
