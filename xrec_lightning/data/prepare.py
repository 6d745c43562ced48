"""The pipeline from raw files to a prepared folder."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from xrec_lightning import schema
from xrec_lightning.data.config.load import PrepareConfig, load_config
from xrec_lightning.data.config.tables import ItemsConfig, UsersConfig
from xrec_lightning.data.folders import atomic_folder
from xrec_lightning.data.prepared import (
    make_sequences,
    write_manifest,
    write_sequences,
    write_tables,
)
from xrec_lightning.data.raw import validate
from xrec_lightning.data.raw.inputs import (
    SCHEMA_VERSION,
    Inputs,
    Tables,
    collect_log,
    find_inputs,
    read_tables,
)
from xrec_lightning.data.raw.readers import SOURCE, raw_name
from xrec_lightning.data.steps import clean, graph, manifest, splits, vocab
from xrec_lightning.data.steps.cold import choose_hidden
from xrec_lightning.data.steps.leaks import refuse_leaks
from xrec_lightning.data.steps.targets import make_targets

_STEPS = ("read", "clean", "split", "index", "targets", "graph", "check", "write")
_NO_CATALOG = ItemsConfig(path=[])
_NO_PROFILES = UsersConfig(path=[])

logger = logging.getLogger(__name__)


class Cleaned(NamedTuple):
    """The log that is split."""

    interactions: pl.DataFrame
    rejected: pl.DataFrame
    ties: dict[str, float]


class Indexed(NamedTuple):
    """The data set in indices."""

    events: pl.DataFrame
    """Events of the store, in flat order, with their `split`."""
    hidden: pl.DataFrame
    """Events of hidden items, with the same columns."""
    items: pl.DataFrame
    users: pl.DataFrame
    domains: list[str]


def prepare(config: PrepareConfig) -> Path:
    """Return the prepared folder of ``config``, made now unless it exists already.

    Raises:
        InputError: If a file, a value or the split cannot be used.
        FileNotFoundError: If a path names no file.
    """
    inputs = find_inputs(config)
    folder = Path(config.output) / inputs.fingerprint
    if folder.exists():
        logger.info("%s is up to date", folder)
        return folder
    with atomic_folder(folder) as temporary:
        if temporary is not None:
            with _show_progress() as advance:
                _build(config, inputs, temporary, advance)
    return folder


def locate(dataset: Path) -> Path:
    """Return the prepared folder that ``dataset`` is, or that its data YAML describes.

    Raises:
        FileNotFoundError: If there is none yet; the message says how to make it.
    """
    if (dataset / schema.MANIFEST).is_file():
        return dataset
    if dataset.suffix not in (".yaml", ".yml") or not dataset.is_file():
        raise FileNotFoundError(
            f"{dataset}: neither a prepared folder nor a data YAML; run `xrec prepare` on a data "
            "YAML, it prints the folder"
        )
    config = load_config(dataset)
    folder = Path(config.output) / find_inputs(config).fingerprint
    if not folder.is_dir():
        raise FileNotFoundError(f"{dataset} is not prepared yet; run `xrec prepare {dataset}`")
    return folder


def _build(
    config: PrepareConfig, inputs: Inputs, folder: Path, advance: Callable[[], None]
) -> None:
    tables = read_tables(config, inputs)
    log = collect_log(validate.fill_domains(tables.interactions, tables.catalog), inputs)
    advance()
    cleaned = _clean(config, log)
    advance()
    split, rejected = _split(config, tables, cleaned)
    advance()
    data = _index(config, tables, split)
    advance()
    targets = {
        name: make_targets(data.events, data.hidden, name, data.items)
        for name in (schema.VAL, schema.TEST)
    }
    validate.refuse_empty_splits(data.events, targets)
    advance()
    edges = _make_graph(config, data)
    advance()
    sequences = make_sequences(data.events, len(data.users))
    by_order = config.split.ties == "file"
    refuse_leaks(data.events, data.hidden, sequences["train_ends"], targets, by_order)
    advance()
    tables_by_name = {
        schema.INTERACTIONS_FILE: _public_interactions(data),
        schema.ITEMS_FILE: _public_items(config, data),
        schema.USERS_FILE: data.users,
        schema.REJECTED_FILE: rejected.with_columns(pl.col(SOURCE).cast(pl.String)),
        **{f"{schema.TARGETS_FOLDER}/{name}.parquet": rows for name, rows in targets.items()},
        **{f"{schema.GRAPH_FOLDER}/{name}.parquet": rows for name, rows in edges.items()},
    }
    write_tables(folder, tables_by_name)
    write_sequences(folder, sequences)
    facts = _describe(config, inputs, log, data, targets, edges)
    facts |= {"ties": cleaned.ties, "rejected": manifest.count_reasons(rejected)}
    write_manifest(folder, facts)
    advance()


def _clean(config: PrepareConfig, log: pl.DataFrame) -> Cleaned:
    log = validate.name_only_domain(log)
    kept, unread = clean.part(validate.flag_unreadable(log))
    validate.refuse_no_interactions(kept, unread)
    validate.refuse_domain_names(kept[schema.DOMAIN].unique().sort().to_list())
    kept, duplicates = clean.part(clean.flag_duplicates(kept))
    kept = splits.add_order(kept, config.split.ties)
    drops = [unread, duplicates]
    if config.clean.repeats == "drop":
        kept, repeats = clean.part(clean.flag_repeats(kept))
        drops.append(repeats)
    return Cleaned(kept, pl.concat(drops), manifest.count_ties(kept))


def _split(
    config: PrepareConfig, tables: Tables, cleaned: Cleaned
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the events with their role, and all rejected rows."""
    catalog = config.items or _NO_CATALOG
    items = vocab.collect_items(tables.catalog, cleaned.interactions, catalog.title, catalog.text)
    hidden_ids = choose_hidden(items, cleaned.interactions, config.split.cold_items, config.seed)
    is_hidden = pl.col(schema.ITEM_ID).is_in(hidden_ids.implode())
    warm = splits.assign_roles(cleaned.interactions.filter(~is_hidden), config.split)
    hidden = cleaned.interactions.filter(is_hidden).with_columns(
        pl.lit(schema.HIDDEN).alias(splits.ROLE)
    )
    events = pl.concat([warm, hidden])
    if config.clean.k_core < 1:
        return events, cleaned.rejected
    events, outside = clean.part(clean.flag_outside_core(events, config.clean.k_core))
    validate.refuse_empty_core(events, config.clean.k_core)
    return events, pl.concat([cleaned.rejected, outside])


def _index(config: PrepareConfig, tables: Tables, split: pl.DataFrame) -> Indexed:
    catalog, profiles = config.items or _NO_CATALOG, config.users or _NO_PROFILES
    items = vocab.collect_items(tables.catalog, split, catalog.title, catalog.text)
    if config.clean.k_core > 0:
        items = items.join(split, on=schema.ITEM_ID, how="semi", maintain_order="left")
    domains = vocab.domain_names(items)
    validate.refuse_domain_names(domains)
    users = vocab.add_index(
        vocab.collect_users(tables.profiles, split, profiles.text), schema.USER_INDEX
    )
    items = vocab.add_index(items, schema.ITEM_INDEX)
    events = splits.sort_flat(vocab.encode(split, users, items, domains), config.seed)
    events = splits.mark_targets(events, config.split)
    is_hidden = pl.col(splits.ROLE) == schema.HIDDEN
    items = vocab.count_training(items, events)
    return Indexed(events.filter(~is_hidden), events.filter(is_hidden), items, users, domains)


def _make_graph(config: PrepareConfig, data: Indexed) -> dict[str, pl.DataFrame]:
    catalog, profiles = config.items or _NO_CATALOG, config.users or _NO_PROFILES
    train = data.events.filter(pl.col(schema.SPLIT) == schema.TRAIN)
    tags, fields = map(raw_name, catalog.tags), map(raw_name, profiles.profile)
    brand = raw_name(catalog.brand) if catalog.brand is not None else None
    return {
        "user_item": graph.user_item_edges(train),
        "item_item": graph.item_item_edges(train, config.graph.window),
        "item_domain": graph.item_domain_edges(data.items),
        "item_tag": graph.item_tag_edges(data.items, list(tags), catalog.tag_separator),
        "item_brand": graph.item_brand_edges(data.items, brand),
        "user_profile": graph.user_profile_edges(data.users, list(fields)),
    }


def _public_interactions(data: Indexed) -> pl.DataFrame:
    """Return the interactions as they are written, without what only the pipeline needs."""
    rows = pl.concat([data.events, data.hidden])
    indices = (schema.USER_INDEX, schema.ITEM_INDEX, schema.DOMAIN_INDEX)
    columns = (schema.USER_ID, schema.ITEM_ID, schema.DOMAIN, *schema.INTERACTION_DTYPES)
    given = [name for name in dict.fromkeys(columns) if name in rows.columns]
    return rows.select(*indices, *given, schema.SPLIT)


def _public_items(config: PrepareConfig, data: Indexed) -> pl.DataFrame:
    """Return the items as they are written: no second copy of a title that has our name."""
    has_our_name = config.items is not None and config.items.title == schema.TITLE
    return data.items.drop(raw_name(schema.TITLE)) if has_our_name else data.items


def _describe(
    config: PrepareConfig,
    inputs: Inputs,
    log: pl.DataFrame,
    data: Indexed,
    targets: dict[str, pl.DataFrame],
    edges: dict[str, pl.DataFrame],
) -> dict[str, object]:
    rows = dict(log.group_by(SOURCE).len().iter_rows())
    interactions = pl.concat([data.events, data.hidden])
    return {
        "schema_version": SCHEMA_VERSION,
        "hash": inputs.fingerprint,
        "config": asdict(config),
        "inputs": [
            {"path": path, "sha256": digest, "rows": rows.get(path)}
            for path, digest in inputs.hashes.items()
        ],
        "domains": data.domains,
        "slices": list(schema.SLICES),
        "counts": manifest.count_all(interactions, data.items, data.users, targets),
        "by_domain": manifest.count_by_domain(interactions, data.items, targets, data.domains),
        "domain_overlap": manifest.count_overlap(interactions, data.domains),
        "text_coverage": manifest.text_coverage(data.items, interactions),
        "graph": {name: len(each) for name, each in edges.items()},
    }


@contextmanager
def _show_progress() -> Iterator[Callable[[], None]]:
    """Yield what is called at the end of each step; the bar is shown on terminals only."""
    console = Console(stderr=True)
    columns = (
        TextColumn("prepare: {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(_STEPS[0], total=len(_STEPS))
        steps = iter((*_STEPS[1:], "done"))

        def advance() -> None:
            progress.update(task, advance=1, description=next(steps))

        yield advance
