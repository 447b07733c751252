"""One file per operator, faces side by side: `reference` (numpy, float64), `torch_face`, `ours` and `stock` (ONNX)."""
