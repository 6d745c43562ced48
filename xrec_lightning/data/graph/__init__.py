"""The fusion graph of a prepared folder: its edges, matrices and neighborhoods."""
