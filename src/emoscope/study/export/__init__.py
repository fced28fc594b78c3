"""Trained networks -> ONNX files with their ModelSpec, smaller variants, ensembles and model cards."""
