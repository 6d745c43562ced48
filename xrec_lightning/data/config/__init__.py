"""What a data YAML may say."""
