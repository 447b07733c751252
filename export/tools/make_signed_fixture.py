"""Write a small bundle of random weights, signed, with the public key beside it; the private key is thrown away.

Usage: python export/tools/make_signed_fixture.py runtime/core/src/test/resources/signed
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from coppice_export.bundle import BundleSpec, Rung, write_bundle
from coppice_export.config import Attention, Conv, Preprocessing, Reduction, ViTConfig
from coppice_export.model import Flavour
from coppice_export.signing import sign_bundle
from coppice_export.weights import expected_shapes

CONFIG = ViTConfig(
    name="small",
    preprocessing=Preprocessing(short_side=16, crop=16),
    stem=(Conv(16, 4, 4, norm=True, gelu=True),),
    width=16,
    heads=2,
    hidden=24,
    classes=3,
    attention=(Attention("linear", feature_map="elu1", reweight="cos1d"), Attention()),
    reductions=Reduction.at(0),
)
RUNGS = (Rung("full", (16,), 80.0), Rung("half", (8,), 70.5))
SPEC = BundleSpec("small", "1.0.0", ("a", "b", "c"), RUNGS, "half", "nothing")


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    # Small, and positive as running variances must be.
    shapes = expected_shapes(CONFIG).items()
    state = {name: np.exp(rng.standard_normal(shape) / 4 - 1).astype(np.float32) for name, shape in shapes}
    write_bundle(folder / "bundle", CONFIG, state, SPEC, flavour=Flavour.SEPARATE)
    key = generate_private_key(SECP256R1())
    pem = serialization.Encoding.PEM
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pub.pem").write_bytes(public)
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with tempfile.NamedTemporaryFile() as file:
        file.write(private)
        file.flush()
        sign_bundle(folder / "bundle", Path(file.name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
