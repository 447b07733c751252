"""OpenSSF Model Signing 1.0 of bundles with an ECDSA key, by the `model-signing` package (the `sign` group)."""

from __future__ import annotations

from pathlib import Path

from .bundle_files import SIGNATURE, BundleError, read_bundle
from .checkpoint import SourceError

__all__ = ["sign_bundle", "verify_bundle"]

_EXPECTED = "expected the PEM of an ECDSA P-256 private key without password"


def _library():
    try:
        from model_signing import hashing, signing, verifying
    except ImportError as error:
        raise SourceError(f"Signing needs model-signing ({error}): install coppice-export[sign].") from None
    return hashing, signing, verifying


def sign_bundle(folder: Path, key: Path) -> Path:
    """Write `model.sig` over every other file of a verified bundle; the signature's path.

    key: PEM of an ECDSA P-256 private key without password. Raises SourceError for another key, BundleError for a
    spoilt bundle.
    """
    hashing, signing, _ = _library()
    read_bundle(folder)
    _require_p256(key)
    # Beside the bundle until it is complete; inside, it would sign itself.
    part = folder.with_name(f".{folder.name}.{SIGNATURE}")
    try:
        signer = signing.Config().use_elliptic_key_signer(private_key=key)
        signer.set_hashing_config(_all_files(hashing)).sign(folder, part)
        part.replace(folder / SIGNATURE)
    finally:
        part.unlink(missing_ok=True)
    return folder / SIGNATURE


def _require_p256(key: Path) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        loaded = load_pem_private_key(key.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SourceError(f"{key}: {_EXPECTED} ({' '.join(str(error).split())}).") from None
    if not isinstance(loaded, EllipticCurvePrivateKey) or not isinstance(loaded.curve, SECP256R1):
        found = loaded.curve.name if isinstance(loaded, EllipticCurvePrivateKey) else type(loaded).__name__
        raise SourceError(f"{key}: {_EXPECTED}, found {found}.")


def verify_bundle(folder: Path, key: Path) -> None:
    """key: PEM of the public key. Raises BundleError unless the signature is this key's and every file is signed."""
    hashing, _, verifying = _library()
    if not (folder / SIGNATURE).is_file():
        raise BundleError(f"{folder}: expected a signature, found no {SIGNATURE}; sign the bundle.")
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
        verifier.set_hashing_config(_all_files(hashing)).verify(folder, folder / SIGNATURE)
    except OSError:
        raise
    except (
        Exception
    ) as error:  # of the library, of cryptography, of protobuf and of JSON, as the change may be anywhere
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BundleError(f"{folder}: the signature is not right for {key} ({reason}); do not use it.") from None


def _all_files(hashing):
    """Every file but the signature itself, git's own included; links are refused."""
    return hashing.Config().set_ignored_paths(paths=[Path(SIGNATURE)], ignore_git_paths=False)
