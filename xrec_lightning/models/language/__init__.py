"""Language models, their pooling and their tuning."""
