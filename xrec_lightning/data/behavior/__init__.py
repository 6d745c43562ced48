"""Histories -> batches."""
