"""Knowledge text -> tokens, pairs and prompts."""
