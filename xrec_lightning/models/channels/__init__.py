"""The channels of the fusion scorer."""
