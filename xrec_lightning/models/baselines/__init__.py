"""Recommenders that every table holds."""
