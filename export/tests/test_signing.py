"""Signatures of bundles: made, verified here and with other code, and broken by any change."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess

import pytest

from coppice_export.bundle import write_bundle
from coppice_export.bundle_files import read_bundle

pytest.importorskip("model_signing", reason="model-signing is not installed")


def _key(folder, name: str, curve: str = "prime256v1"):
    """A key pair as docs/how-to/sign-a-bundle.md makes it."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    generate = ["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", private]
    subprocess.run(generate, check=True, capture_output=True)
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


@pytest.fixture
def bundle(tiny, tiny_state, tiny_spec, tmp_path):
    write_bundle(tmp_path / "tiny", tiny, tiny_state, tiny_spec)
    return tmp_path / "tiny"


@pytest.fixture
def signed(bundle, call, tmp_path):
    """A signed bundle and its public key."""
    private, public = _key(tmp_path, "key")
    code, error = call("sign", bundle, "--key", private)
    assert (code, error) == (0, f"wrote {bundle / 'model.sig'}\n")
    return bundle, public


def test_signed_bundle_verifies_and_is_still_a_bundle(signed, call):
    """With the public key; and what reads bundles takes the signature for no surplus file."""
    bundle, public = signed
    code, error = call("sign", bundle, "--key", public, "--verify")
    assert code == 0, error
    assert "signed by this key" in error
    assert read_bundle(bundle).name == "tiny 1.2.3"


def test_signature_is_what_the_specification_says(signed, tmp_path):
    """DSSE around an in-toto statement that lists every other file with its SHA-256; OpenSSL verifies the bytes."""
    bundle, public = signed
    envelope = json.loads((bundle / "model.sig").read_text())["dsseEnvelope"]
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    statement = json.loads(payload)
    listed = {r["name"]: r["digest"] for r in statement["predicate"]["resources"]}
    files = [p for p in bundle.rglob("*") if p.is_file() and p.name != "model.sig"]
    assert listed == {p.relative_to(bundle).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    assert str(tmp_path) not in payload.decode()
    (tmp_path / "pae").write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    (tmp_path / "signature").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    command = ["openssl", "dgst", "-sha256", "-verify", public, "-signature", tmp_path / "signature", tmp_path / "pae"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "Verified OK\n"


def _flip(path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


CHANGES = {
    "model": lambda bundle: _flip(bundle / "model.onnx"),
    "manifest": lambda bundle: _flip(bundle / "bundle.json"),
    "golden": lambda bundle: _flip(bundle / "golden" / "0" / "logits.bin"),
    "missing": lambda bundle: (bundle / "LICENSE").unlink(),
    "surplus": lambda bundle: (bundle / "notes.txt").write_text("hello"),
    "surplus-of-git": lambda bundle: (bundle / ".gitignore").write_text("hello"),
    "signature": lambda bundle: _flip(bundle / "model.sig"),
    "unsigned": lambda bundle: (bundle / "model.sig").unlink(),
}


@pytest.mark.parametrize("place", range(0, 1000, 50))
def test_no_byte_of_the_signature_may_change(signed, call, place):
    """Whatever the byte belongs to: JSON, names, payload, signature."""
    bundle, public = signed
    data = bytearray((bundle / "model.sig").read_bytes())
    data[place] ^= 1
    (bundle / "model.sig").write_bytes(data)
    code, error = call("sign", bundle, "--key", public, "--verify")
    assert (code, error.count("\n")) == (1, 1)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_breaks_the_signature(signed, call, change):
    """One sentence and exit code 1."""
    bundle, public = signed
    change(bundle)
    code, error = call("sign", bundle, "--key", public, "--verify")
    assert code == 1
    assert error.startswith(f"coppice-export: {bundle}: ")
    assert error.count("\n") == 1


def test_signature_of_another_key_is_refused(signed, call, tmp_path):
    """A bundle that somebody else signed."""
    bundle, _ = signed
    code, error = call("sign", bundle, "--key", _key(tmp_path, "other")[1], "--verify")
    assert code == 1
    assert "the signature is not right" in error


def test_spoilt_bundle_is_not_signed(bundle, call, tmp_path):
    """A signature would vouch for the damage."""
    _flip(bundle / "model.onnx")
    code, error = call("sign", bundle, "--key", _key(tmp_path, "key")[0])
    assert code == 1
    assert "model.onnx is changed" in error
    assert not (bundle / "model.sig").exists()


def _write(path, text: str):
    path.write_text(text)
    return path


KEYS = {
    "other-curve": (lambda folder: _key(folder, "long", "secp384r1")[0], "found secp384r1"),
    "public": (lambda folder: _key(folder, "key")[1], "expected the PEM of an ECDSA P-256 private key"),
    "no-key": (lambda folder: _write(folder / "key.pem", "hello"), "expected the PEM of an ECDSA P-256 private key"),
    "absent": (lambda folder: folder / "nowhere.pem", "nowhere.pem"),
}


@pytest.mark.parametrize(("key", "sentence"), KEYS.values(), ids=KEYS)
def test_other_keys_are_refused(bundle, call, tmp_path, key, sentence):
    """The runtime's Java knows P-256; nothing is written with any other."""
    code, error = call("sign", bundle, "--key", key(tmp_path))
    assert code == 1
    assert sentence in error
    assert error.count("\n") == 1
    assert not (bundle / "model.sig").exists()
