"""How a language model is tuned: all weights, or an adapter beside frozen ones."""
