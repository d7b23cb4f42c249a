"""The explanation of an answer for a person at a terminal.

Belongs here: words and layout. Does not belong here: facts (service).
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

SHOWN_METRICS = ("ndcg_10", "hr_10")


def show(answer: dict[str, Any], console: Console, *, at_most: int) -> None:
    """Print it, calmly."""
    console.print(Text(f"recommendation {answer['recommendation_id']}", style="bold"))
    _facts(answer, console)
    for title in answer["titles"][:at_most]:
        console.print()
        console.print(Text.assemble((title["title"], "bold"), f"  {title['score']:.3f}", ("  " + title["text"], "dim")))
        if not title["reasons"]:
            console.print(Text(f"  {title['viewers_with_title']} viewers in the training data have it", style="dim"))
        for reason in title["reasons"]:
            for line in _reason(reason):
                console.print(line)
    left = len(answer["titles"]) - at_most
    console.print()
    if left > 0:
        console.print(
            Text(f"and {left} more titles; all of them: --titles {len(answer['titles'])}, or --json", style="dim")
        )
    version = (answer["model"] or {}).get("version")
    follow = f"bin/nexus models show {version}" if version else "bin/nexus models list"
    console.print(Text(f"  next:  {follow}", style="dim"))


def _facts(answer: dict[str, Any], console: Console) -> None:
    known, data = answer["model"], answer["data"]
    lines = [("served", f"{answer['served_at'][:19]}Z to viewer {answer['user_id']}"), ("by", answer["rung"])]
    if answer["degraded"]:
        lines.append(("degraded", answer["degraded"]))
    if known is not None:
        figures = "  ".join(
            f"{name} {known['metrics'][name]:.4f}" for name in SHOWN_METRICS if name in known["metrics"]
        )
        state = "served now" if known["is_served_now"] else "replaced since"
        lines.append(("model", f"{known['name']} {known['version']} ({known['kind']}, {state})  {figures}".rstrip()))
        lines.append(("run", known["run_id"] or "the registry does not answer"))
        exact = "" if data["is_exact"] else " (the model's own version is gone; this is the newest)"
        lines.append(("data", f"{data['table']} version {data['version']}{exact}, hash {known['data_hash']}"))
        others = [f"{table}@{version}" for table, version in data["tables"].items() if table != data["table"]]
        if others:
            lines.append(("from", ", ".join(others)))
    lines.append(
        ("history", f"{len(answer['history'])} viewings were looked at; the record was in {answer['found_in']}")
    )
    for name, text in lines:
        console.print(Text.assemble((f"  {name:<9}", "dim"), text))


def _reason(reason: dict[str, Any]) -> list[Text]:
    because, training = reason["because"], reason["training"]
    name = because["title"] or because["content_id"]
    counted = (
        f"  {training['viewers_with_both']} of {training['viewers_with_title']} viewers of the title have both,"
        f" {training['viewers_in_this_order']} in this order"
    )
    lines = [Text.assemble(f"  because of {name}", (f"  {because['contribution']:+.4f}{counted}", "dim"))]
    lines += [Text(f"    {raw_line(row)}") for row in reason["raw_rows"]]
    if not reason["raw_rows"]:
        lines.append(Text(f"    event {reason['event_id'] or 'unknown'}: no raw row is known", style="dim"))
    for example in training["examples"][:1]:
        lines += [Text(f"    e.g. {raw_line(row)}", style="dim") for row in example["raw_rows"]]
    return lines


def raw_line(row: dict[str, Any]) -> str:
    """A raw row in one line."""
    if "line_number" in row:
        return f"{row['table']} {row['load_id']} line {row['line_number']}: {row['raw_text']}"
    where = "waits in the stream" if row.get("is_waiting") else row["stream_id"]
    return f"{row['table']} {where}: event {row['event_id']}"
