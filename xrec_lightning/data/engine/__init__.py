"""The shards of a log, and the steps of `prepare` on each of them."""
