"""ONNX export of trained models with preprocessing, and numerical parity with PyTorch."""
