"""``load``: bring what people watched and rated onto the platform.

Belongs here: the commands, and staging the default data. Does not belong here: formats (media.sources), what a load
says and starts (media.loading).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from media.loading import JOB, load_source
from nexus.settings import Settings

__all__ = ["JOB", "register", "stage_default"]

_NoRun = Annotated[bool, typer.Option("--no-run", help="Only stage the data; the next pipeline run takes it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Bring ratings, views and titles onto the platform.", no_args_is_help=True)
    group.command(
        "movielens",
        epilog="Examples:  bin/nexus load movielens ml-latest-small.zip  |  bin/nexus load movielens FOLDER --no-run",
    )(movielens)
    group.command("default", epilog="Example:  bin/nexus load default")(default)
    group.command(
        "table",
        epilog="Examples:  bin/nexus load table history.csv --mapping mapping.toml  |  bin/nexus load table ratings.csv"
        " --issuer club --user member --item film --value stars --scale 0..10 --time at --time-format iso",
    )(table)
    group.command("jellyfin", epilog="Example:  bin/nexus load jellyfin")(jellyfin)
    app.add_typer(group, name="load")


def stage_default(settings: Settings) -> None:
    """Stage the default data, unless something was staged before (a person's own load takes its place)."""
    from media.sources.base import staged_loads
    from media.sources.dslabs import DslabsMovieLens

    if not staged_loads(settings.inbox):
        DslabsMovieLens().stage(settings.inbox)


def movielens(
    path: Annotated[
        Path, typer.Argument(help="Folder or zip of any MovieLens size (100K, 1M, 10M, 20M, 25M, 32M, latest).")
    ],
    is_staged_only: _NoRun = False,
    issuer: Annotated[
        str | None, typer.Option(help="Keep its viewers and titles apart under this name; default: movielens.")
    ] = None,
) -> None:
    """Load a data set in a MovieLens layout; bad lines are quarantined with the reason, the rest goes on."""
    from media.sources.mapping import checked_issuer
    from media.sources.movielens import MovieLens

    load_source(MovieLens(path, issuer=checked_issuer(issuer)), is_staged_only)


def default(is_staged_only: _NoRun = False) -> None:
    """Load the 100,004 ratings that the environment ships."""
    from media.sources.dslabs import DslabsMovieLens

    load_source(DslabsMovieLens(), is_staged_only)


def table(
    path: Annotated[Path, typer.Argument(help="CSV (also .gz), Parquet, or a folder or zip that holds it.")],
    mapping: Annotated[Path | None, typer.Option(help="TOML file that says what the columns mean.")] = None,
    issuer: Annotated[str | None, typer.Option(help="Whose ids these are, as in club: they never clash.")] = None,
    title_issuer: Annotated[str | None, typer.Option(help="Whose ids the titles' are, where not the same.")] = None,
    user: Annotated[str | None, typer.Option(help="Column with the viewer's id.")] = None,
    item: Annotated[str | None, typer.Option(help="Column with the title's id.")] = None,
    value: Annotated[str | None, typer.Option(help="Column with the rating, or the share watched.")] = None,
    scale: Annotated[str | None, typer.Option(help="Lowest and highest value, as in 0..10.")] = None,
    time: Annotated[str | None, typer.Option(help="Column with the time.")] = None,
    time_format: Annotated[str | None, typer.Option(help="epoch_s, epoch_ms or iso.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Of times that name none, as in Europe/Berlin.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Column with the type of event.")] = None,
    types: Annotated[str | None, typer.Option(help="Its words, as in rated=rate,watched=view.")] = None,
    default_type: Annotated[str | None, typer.Option(help="Type of every row: view, rate, like, ...")] = None,
    item_name: Annotated[str | None, typer.Option(help="Column with the title's name, without --titles.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="What stands between fields; default: found.")] = None,
    titles: Annotated[Path | None, typer.Option(help="Table of titles.")] = None,
    title_id: Annotated[str | None, typer.Option(help="Its column with the id.")] = None,
    title_name: Annotated[str | None, typer.Option(help="Its column with the name.")] = None,
    title_year: Annotated[str | None, typer.Option(help="Its column with the year.")] = None,
    title_genres: Annotated[str | None, typer.Option(help="Its column with the genres, split by |.")] = None,
    is_staged_only: _NoRun = False,
) -> None:
    """Load your own table; a mapping (or these options) says which column means what."""
    from media.sources.mapping import combined, declared, read_toml
    from media.sources.table import MappedTable

    facts: dict[str, Any] = read_toml(mapping) if mapping is not None else {}
    given = {
        "": {"issuer": issuer, "title_issuer": title_issuer},
        "interactions": {
            "viewer": user,
            "title": item,
            "value": value,
            "scale": scale,
            "time": time,
            "time_format": time_format,
            "time_zone": time_zone,
            "type": kind,
            "types": types,
            "default_type": default_type,
            "title_name": item_name,
            "delimiter": delimiter,
        },
        "titles": {
            "path": None if titles is None else str(titles),
            "id": title_id,
            "title": title_name,
            "year": title_year,
            "genres": title_genres,
        },
    }
    combined_facts = combined(facts, given, beside=None if mapping is None else mapping.parent)
    load_source(MappedTable(path, declared(combined_facts)), is_staged_only)


def jellyfin(is_staged_only: _NoRun = False) -> None:
    """Pull the library and what viewers did from your Jellyfin (settings: jellyfin.url, jellyfin.api_key)."""
    from media.loading import load_jellyfin

    load_jellyfin(is_staged_only)
