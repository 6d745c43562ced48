"""From a checkpoint to lists of items."""
