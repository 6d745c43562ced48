"""Popularity of items in training events, as borders that data and models agree on."""

BUCKET_STARTS = (0, 1, 4, 16)
"""Least training events of the buckets cold, tail, mid and head (`schema.BUCKETS`)."""
