from xrec_lightning.data.config.tables import ItemsConfig, LinksConfig


def test_a_table_needs_a_path_only() -> None:
    assert ItemsConfig(path="items.csv").columns == {}
    assert LinksConfig(path=["a.csv", "b.csv"]).encoding == "utf8"
