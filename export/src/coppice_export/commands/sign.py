"""`coppice-export sign`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..signing import sign_bundle, verify_bundle

__all__ = ["sign"]

console = Console(stderr=True)


def sign(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    key: Annotated[
        Path, typer.Option(help="PEM of an ECDSA P-256 key: the private one to sign, the public one to verify.")
    ],
    verify: Annotated[bool, typer.Option("--verify", help="Check the signature that is there.")] = False,
) -> None:
    """Sign a bundle with a key, or verify its signature (needs the sign group)."""
    if verify:
        verify_bundle(bundle, key)
        console.print(f"{bundle}: signed by this key, and no file is changed, missing or surplus")
    else:
        console.print(f"wrote {sign_bundle(bundle, key)}")
