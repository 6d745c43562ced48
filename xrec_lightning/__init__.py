"""Cross-domain recommendation through language models, on PyTorch Lightning."""
