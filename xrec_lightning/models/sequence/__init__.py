"""Sequence encoders."""
