"""Metrics, their slices and their intervals."""
