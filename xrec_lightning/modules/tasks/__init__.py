"""Fine-tuning tasks: a head with its loss and its metrics."""
