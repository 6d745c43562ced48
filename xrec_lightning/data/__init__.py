"""From anyone's logs to batches."""
