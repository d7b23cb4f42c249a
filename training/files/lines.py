"""Lines of ``user item [time]``, ``user item rating time`` or under a header, as columns; broken lines are counted and left out.

Belongs here: separators, headers, numbers and times as text, what is wrong with a line. Does not belong here: files
(training.files.layouts), facts of titles (training.files.titles), arrays (training.dataset).

Without a header two columns are user and item, three are user, item and time, four and more are user, item, rating and time
(the order of MovieLens).
"""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import dataclass

import polars as pl

from nexus.errors import NexusError, invalid

NAMES: dict[str, frozenset[str]] = {
    "user": frozenset({"user", "userid", "uid", "viewer", "viewerid", "userref", "reviewerid"}),
    "item": frozenset(
        {"item", "itemid", "iid", "movie", "movieid", "contentid", "contentref", "titleid", "asin", "artistid"}
    ),
    "rating": frozenset({"rating", "score", "stars", "value"}),
    "time": frozenset({"time", "timestamp", "ts", "occurredat", "ratedat", "unixtimestamp", "date", "datetime"}),
}
BY_POSITION = {2: ("user", "item"), 3: ("user", "item", "time"), 4: ("user", "item", "rating", "time")}
SCALES = (5.0, 10.0, 100.0)
UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Times over the first number count the second's part of a second."""
FORMATS = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")
LATEST_S = 253_402_300_799.0
SAMPLE = 100
MISSING = ("", "nan", "null", "none", "\\n")


@dataclass(frozen=True, slots=True)
class Rows:
    """What a file says.

    Attributes:
        frame: ``user`` and ``item`` (text, as in the file), ``rating`` (0 to 5; null: none) and ``at_s`` (seconds since
            1970), in the order of the lines.
        has_times: Whether ``at_s`` means something.
        notes: What a person should know: lines left out, how numbers were read.
    """

    frame: pl.DataFrame
    has_times: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """How a file writes its lines; ``columns`` names what each field is, in order, empty for what is not used."""

    separator: str
    columns: tuple[str, ...]
    has_header: bool


def read(content: bytes, name: str) -> Rows:
    """All good lines.

    Raises:
        NexusError: category ``invalid``: no lines, no column for user or item, or more broken lines than good ones.
    """
    content = _utf8(content.removeprefix(b"\xef\xbb\xbf"))
    form = form_of(content[: 1 << 16], name)
    if form.separator == " ":
        content = (
            re.sub(rb"[ \t]{2,}|\t|(?m:^[ \t]+)|(?m:[ \t]+$)", _single, content) if _is_uneven(content) else content
        )
    try:
        frame = _fields(content, form)
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise _refused(
            name, "the lines cannot be read as columns", first, "mend the lines, quotes above all"
        ) from error
    return _judged(frame, form, name)


def _utf8(content: bytes) -> bytes:
    """The same text in UTF-8; what is not UTF-8 is taken as latin-1, as old MovieLens files are."""
    if content.isascii():
        return content
    try:
        content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1").encode()
    return content


def form_of(sample: bytes, name: str) -> Form:
    """How the first lines are written.

    Raises:
        NexusError: category ``invalid``.
    """
    if b"\0" in sample:
        raise _refused(
            name, "the file is no text", sample[:20], "give lines of user item [time]; unpack it if it is packed"
        )
    lines = [line.strip() for line in sample.decode("utf-8", errors="replace").splitlines()[:SAMPLE] if line.strip()]
    if not lines:
        raise _refused(name, "the file has no lines", "", "give lines of user item [time]")
    separator = next((mark for mark in ("\t", "::", ",", ";") if _splits(lines, mark)), " ")
    fields = [_split(line, separator) for line in lines]
    header = [_plain(field) for field in fields[0]]
    has_header = any(word in names for word in header for names in NAMES.values())
    if has_header:
        return Form(separator, _by_header(header, name, lines[0]), has_header)
    width = Counter(map(len, fields)).most_common(1)[0][0]
    if width < 2:
        raise _refused(name, "the lines have one field each", lines[0], "give lines of user item [time]")
    return Form(separator, BY_POSITION[min(width, 4)], has_header)


def _splits(lines: list[str], mark: str) -> bool:
    return sum(mark in line for line in lines) * 2 > len(lines)


def _split(line: str, separator: str) -> list[str]:
    return line.split() if separator == " " else line.split(separator)


def _plain(word: str) -> str:
    return re.sub(r"[^a-z]", "", word.partition(":")[0].lower())


def _by_header(header: list[str], name: str, line: str) -> tuple[str, ...]:
    columns = [next((kind for kind, names in NAMES.items() if word in names), "") for word in header]
    columns = [kind if columns.index(kind) == place else "" for place, kind in enumerate(columns)]
    for kind in ("user", "item"):
        if kind not in columns:
            known = ", ".join(sorted(NAMES[kind]))
            raise _refused(name, f"the header names no {kind}", line, f"call the column one of {known}")
    return tuple(columns)


def _is_uneven(content: bytes) -> bool:
    return b"  " in content or b"\t" in content or b" \n" in content or b" \r" in content or b"\n " in content


def _single(found: re.Match[bytes]) -> bytes:
    start, end, text = found.start(), found.end(), found.string
    at_edge = start == 0 or text[start - 1 : start] == b"\n" or end == len(text) or text[end : end + 1] in b"\r\n"
    return b"" if at_edge else b" "


def _fields(content: bytes, form: Form) -> pl.DataFrame:
    """The fields that are used, as text; ``line`` counts from 1."""
    step = 2 if form.separator == "::" else 1
    # A quote without its other half would swallow the lines that follow: then quotes mean nothing.
    is_quoted = form.separator in {",", ";"} and content.count(b'"') % 2 == 0
    width = (len(form.columns) - 1) * step + 1
    frame = pl.read_csv(
        io.BytesIO(content),
        has_header=False,
        schema={f"c{place}": pl.String for place in range(width)},
        separator=form.separator[0],
        quote_char='"' if is_quoted else None,
        truncate_ragged_lines=True,
        missing_columns="insert",
        raise_if_empty=False,
        row_index_name="line",
        row_index_offset=1,
        low_memory=True,
    )
    used = {kind: f"c{place * step}" for place, kind in enumerate(form.columns) if kind}
    frame = frame.select(
        "line",
        **{kind: pl.col(column).str.strip_chars(' \t\r"' if not is_quoted else None) for kind, column in used.items()},
    )
    if form.has_header:
        frame = frame.slice(1)
    return frame.filter(pl.any_horizontal(pl.col(*used).is_not_null()))


def _judged(frame: pl.DataFrame, form: Form, name: str) -> Rows:
    notes: list[str] = []
    for kind in ("user", "item"):
        frame = frame.with_columns(
            pl.when(pl.col(kind).str.to_lowercase().is_in(MISSING)).then(None).otherwise(kind).alias(kind)
        )
    rating = _rating(frame, notes) if "rating" in frame.columns else pl.lit(None, pl.Float64)
    at_s = _seconds(frame, notes) if "time" in frame.columns else pl.lit(0.0)
    has_times = "time" in frame.columns
    frame = frame.with_columns(number=rating, at_s=at_s)
    problem = (
        pl.when(pl.col("user").is_null()).then(pl.lit("no user")).when(pl.col("item").is_null()).then(pl.lit("no item"))
    )
    if "rating" in frame.columns:
        problem = problem.when(pl.col("number").is_null()).then(pl.lit("a rating that is no number from 0"))
    if has_times:
        problem = problem.when(pl.col("at_s").is_null()).then(pl.lit("a time that is none"))
    frame = frame.with_columns(problem=problem.otherwise(None))
    broken = frame.filter(pl.col("problem").is_not_null())
    good = frame.filter(pl.col("problem").is_null())
    _refuse_too_many(broken, good, name)
    notes += _left_out(broken, frame.height, name)
    kept = good.select("user", "item", rating=_scaled(good, notes), at_s="at_s")
    if form.columns == BY_POSITION[3] and not form.has_header:
        notes.append("the third column is taken as the time")
    return Rows(kept, has_times, tuple(notes))


def _rating(frame: pl.DataFrame, notes: list[str]) -> pl.Expr:  # noqa: ARG001 (the same form as of the time)
    number = pl.col("rating").cast(pl.Float64, strict=False)
    return pl.when(number.is_finite() & (number >= 0)).then(number)


def _scaled(good: pl.DataFrame, notes: list[str]) -> pl.Expr:
    """Ratings on the scale of 5."""
    highest = good["number"].max()
    if not isinstance(highest, float) or highest <= SCALES[0]:
        return pl.col("number")
    scale = next((scale for scale in SCALES if highest <= scale), None)
    if scale is None:
        notes.append(f"the ratings go up to {highest:g}: they are taken as counts, and not used")
        return pl.lit(None, pl.Float64)
    notes.append(f"the ratings go up to {highest:g}: they are taken as parts of {scale:g}")
    return pl.col("number") * (SCALES[0] / scale)


def _seconds(frame: pl.DataFrame, notes: list[str]) -> pl.Expr:
    number = pl.col("time").cast(pl.Float64, strict=False)
    middle = frame.select(number.filter(number.is_finite()).median()).item()
    if middle is None:
        texts = [pl.col("time").str.to_datetime(form, strict=False, time_unit="us") for form in FORMATS[1:]]
        zoned = pl.col("time").str.to_datetime(FORMATS[0], strict=False, time_unit="us", time_zone="UTC")
        number = pl.coalesce(zoned.dt.epoch("us"), *(text.dt.epoch("us") for text in texts)) / 1e6
    else:
        part = next((part for limit, part in UNITS if middle > limit), 1.0)
        if part > 1:
            notes.append(f"the times are taken as 1/{part:g} seconds")
        number = number / part
    return pl.when(number.is_between(0.0, LATEST_S)).then(number)


def _refuse_too_many(broken: pl.DataFrame, good: pl.DataFrame, name: str) -> None:
    if good.height and good.height >= broken.height:
        return
    if not broken.height:
        raise _refused(name, "the file has a header and no lines", "", "give lines of user item [time]")
    first = broken.row(0, named=True)
    raise _refused(
        f"{name}, line {first['line']}",
        f"{broken.height} of {broken.height + good.height} lines cannot be used: {first['problem']}",
        " ".join(str(first[kind]) for kind in ("user", "item", "rating", "time") if kind in first),
        "give lines of user item [time], or user,item,rating,timestamp under a header",
    )


def _left_out(broken: pl.DataFrame, total: int, name: str) -> list[str]:
    if not broken.height:
        return []
    by_problem = broken.group_by("problem", maintain_order=True).agg(pl.len(), pl.col("line").first())
    parts = [f"{count} with {problem} (first in line {line})" for problem, count, line in by_problem.iter_rows()]
    return [f"{broken.height} of {total} lines of {name} are left out: {', '.join(parts)}"]


def _refused(field: str, message: str, value: object, remedy: str) -> NexusError:
    return invalid(message, field=field, value=value, remedy=remedy)
