from xrec_lightning.data.config.steps import CleanConfig, SplitConfig


def test_nothing_is_dropped_or_hidden_by_default() -> None:
    clean, split = CleanConfig(), SplitConfig()
    assert (clean.k_core, clean.max_history, clean.max_per_hour, clean.filters) == (0, 0, 0, [])
    assert (split.cold_items, split.cold_users, split.cold_domain) == (0.0, 0.0, None)
