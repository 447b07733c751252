"""`coppice-export`: from a state dict to a bundle, from photographs to a state dict."""

from __future__ import annotations

import sys

import typer

from .bundle import BundleError
from .check import CheckError
from .checkpoint import SourceError
from .commands.convert import convert
from .commands.curve import curve
from .commands.evaluate import evaluate
from .commands.explain import explain
from .commands.fine_tune import fine_tune
from .commands.quantize import quantize
from .commands.search import search
from .commands.sign import sign
from .commands.slim import slim
from .commands.thresholds import thresholds
from .commands.train import train

__all__ = ["app", "main"]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
for command in (convert, evaluate, train, fine_tune, curve, search, explain, quantize, sign, slim, thresholds):
    app.command()(command)


def main() -> int:
    """Exit code 0; 1 with one sentence for a source or graph that is refused; 2 for wrong usage."""
    try:
        app()  # exits by itself, with 0 or 2
    except (BundleError, CheckError, SourceError, OSError, ValueError) as error:
        print(f"coppice-export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
