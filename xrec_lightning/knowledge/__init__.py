"""The store of knowledge vectors and what is computed from them."""
