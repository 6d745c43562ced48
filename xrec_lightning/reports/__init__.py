"""Comparison tables, plots and the run report."""
