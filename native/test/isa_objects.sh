#!/bin/sh
# isa_objects.sh NM OBJECT...: each instruction set's object defines its table, or its body of SHA-256, and nothing else that a linker could pick for another processor.
set -eu
nm=$1
shift
failed=0
for object; do
  defined=$("$nm" --defined-only --extern-only --demangle "$object" | awk '{print $2, $3}')
  case $defined in
    "D coppice::"*"::k"*Kernels | "R coppice::"*"::k"*Kernels) ;;
    "T coppice::"*"::sha256_blocks(coppice::Sha256State*,") ;;
    *)
      echo "$object: expected one symbol, a table of kernels or sha256_blocks, found: $defined"
      failed=1
      ;;
  esac
done
exit $failed
