"""A data set on one page: `summary.html`, with everything that it shows inside."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import degrade
from degrade import banks
from degrade.storing import write_whole
from degrade.stream import STREAM

from . import charts, manifest, sampled
from .figures import Figures, figures, rows_at
from .job import Job, from_text, read_job, to_text

FILE = "summary.html"
SHOWN = 24  # results on the sheet
SHOWN_PIXELS, COMPARED_PIXELS = 200_000_000, 10_000_000  # of all results that are decoded for the sheet, and for SSIM
REASONS = 20  # kinds of errors that are listed
PIPELINES = 150  # that are listed
VARIES = re.compile(r"0x[0-9a-f]+|\d+")


def report(out: str | os.PathLike[str]) -> Path:
    """Write `summary.html` into a folder that `generate` wrote; the same data set gives the same page.

    Args:
        out: the folder.

    Raises:
        ValueError: if `generate` did not write it. OSError: if its manifest cannot be read, or the page not be written.
    """
    root = Path(out)
    job = read_job(root)
    numbers = figures(root / manifest.FILE, job.variants[0].name)
    rows = rows_at(root / manifest.FILE, numbers.sample[:, 1], sampled.COLUMNS)
    by_id = sorted(rows, key=lambda row: row["id"])
    shown = first_of(by_id, SHOWN, SHOWN_PIXELS)
    compared = first_of(by_id, len(by_id), COMPARED_PIXELS) if sampled.measures_ssim() else []
    seen = list(sampled.look(root, job, rows, set(shown), set(compared)))
    template = (resources.files(__package__) / "report.html").read_text(encoding="utf-8")
    page = Template(template).substitute(
        name=escape(root.resolve().name),
        head=head(root, job, numbers),
        pipelines=pipelines(job),
        errors=errors(root),
        types=_types(numbers),
        distributions=distributions(numbers),
        effect=effect(numbers, seen),
        sheet=sheet([one for one in seen if one.row["id"] in shown], numbers.images),
    )
    write_whole(root / FILE, page.encode("utf-8", "replace"))
    return root / FILE


def first_of(rows: Sequence[dict[str, Any]], most: int, pixels: int) -> list[int]:
    """The ids of the first rows: at most so many, of so many pixels together, and one if there is one."""
    ids: list[int] = []
    for row in rows[:most]:
        pixels -= row["height"] * row["width"]
        if ids and pixels < 0:
            break
        ids.append(row["id"])
    return ids


# ---- head ------------------------------------------------------------------------------------------------------------


def head(root: Path, job: Job, numbers: Figures) -> str:
    """What it is, in numbers."""
    count: Counter[str] = Counter()
    for table in _batches(root / manifest.ERRORS, ["kind"]):
        count.update(table.column("kind").to_pylist())
    seeds = sorted({from_text(text).seed for text in job.pipelines})
    codecs = ", ".join(f"{codec} {n:,}" for codec, n in numbers.codecs.most_common())
    places = sorted({os.path.dirname(e.path) if e.kind == "file" else e.path for e in job.entries})
    told = {
        "Images": f"{numbers.images:,}",
        "Sources": f"{numbers.sources:,} of {len(job.entries):,} read" + (f": {codecs}" if codecs else ""),
        "From": ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else ""),
        "Errors": f"{count['error']:,}",
        "Skipped, as asked": f"{count['skipped']:,}",
        "Of each source": f"{len(job.variants):,}",
        "Pipeline": f"{bank_of(job) or ('of its own' if len(job.pipelines) == 1 else f'{len(job.pipelines)} of its own')}, seed {', '.join(map(str, seeds))}",
        "Sizes": _sizes(numbers),
        "Format": job.format,
        "On disk": _bytes(size_of(root)),
        "Release": f"degrade {degrade.__version__}, STREAM {STREAM}",
    }
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in told.items())


def _sizes(numbers: Figures) -> str:
    (h, w), (height, width) = numbers.smallest, numbers.largest
    both = f"{w} × {h}", f"{width} × {height}"
    return "-" if not numbers.images else both[0] if both[0] == both[1] else f"{both[0]} to {both[1]}"


def bank_of(job: Job) -> str:
    """The bank that the job's pipelines are, or whose types at all levels; "" if they are none."""
    own = from_text(job.pipelines[0])
    for name in banks.__all__:
        bank = getattr(banks, name)(seed=own.seed)
        if job.pipelines == (to_text(bank),):
            return f"bank {name}"
        if 0 < len(job.pipelines) == 5 * len(bank.types) and job.pipelines[0] == to_text(bank.single(next(iter(bank.types)), 1, seed=own.seed)):
            return f"bank {name}, every type at every level"
    return ""


def pipelines(job: Job) -> str:
    """The recipes, folded away."""
    listed = [repr(from_text(text)) for text in job.pipelines[:PIPELINES]]
    more = len(job.pipelines) - len(listed)
    text = "\n\n".join(listed) + (f"\n\n… and {more} more, in job.json" if more else "")
    return f"<details><summary>{'recipe' if len(job.pipelines) == 1 else 'recipes'}</summary><pre>{escape(text)}</pre></details>"


def size_of(root: Path) -> int:
    """Bytes of all files in a folder but the page itself."""
    return sum(os.path.getsize(os.path.join(folder, file)) for folder, _, files in os.walk(root) for file in files if file != FILE)


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


# ---- errors ----------------------------------------------------------------------------------------------------------


def errors(root: Path) -> str:
    """What could not be read and what was left out, one line for all of one reason."""
    found = reasons(row for table in _batches(root / manifest.ERRORS, ["key", "kind", "reason"]) for row in table.to_pylist())
    if not found:
        return ""
    lines = "".join(
        f'<tr><td class="number">{count:,}</td><td>{escape(kind)}</td><td>{escape(reason)}</td><td>{escape(example)}</td></tr>'
        for kind, reason, count, example in found[:REASONS]
    )
    more = f"<p>And {len(found) - REASONS} further reasons, in {manifest.ERRORS}.</p>" if len(found) > REASONS else ""
    return f"<h2>Errors and skipped</h2><table><tr><th>files</th><th>kind</th><th>reason</th><th>such as</th></tr>{lines}</table>{more}"


def reasons(rows: Iterable[dict[str, str]]) -> list[tuple[str, str, int, str]]:
    """Rows of errors by kind and reason, the most frequent first: kind, reason, how many, the key of the first.

    Reasons that differ in their numbers alone are one; a number that is not the same in all of them is "…".
    """
    count: Counter[tuple[str, str]] = Counter()
    held: dict[tuple[str, str], tuple[list[str], str]] = {}
    for row in rows:
        at = row["kind"], VARIES.sub("\0", row["reason"])
        values = VARIES.findall(row["reason"])
        count[at] += 1
        before, key = held.get(at, (values, row["key"]))
        held[at] = [old if old == new else "…" for old, new in zip(before, values)], key
    out = []
    for (kind, text), n in count.most_common():
        values, key = held[kind, text]
        parts = text.split("\0")
        out.append((kind, "".join(part + value for part, value in zip(parts, [*values, ""])), n, key))
    return out


def _batches(path: Path, columns: list[str]) -> Iterable[Any]:
    with manifest.arrow("pyarrow.parquet").ParquetFile(path) as file:
        yield from file.iter_batches(columns=columns)


# ---- figures ---------------------------------------------------------------------------------------------------------


def _types(numbers: Figures) -> str:
    if not numbers.types:
        return "<p>Nothing.</p>"
    return charts.bars({name.replace("_", " "): count for name, count in numbers.types.most_common()})


def distributions(numbers: Figures) -> str:
    """Histograms of severities, levels, areas, of how many things were done to an image, and of the quality of JPEG sources."""
    slots, quality = numbers.slots.tolist(), numbers.qualities[1:].reshape(-1, 5).sum(1).tolist()
    made = {
        "Severity": charts.histogram(numbers.severities.tolist(), 0, 1) if numbers.types else "",
        "Level": levels(numbers.levels),
        "Area, of the frame": charts.histogram(numbers.areas.tolist(), 0, 1) if numbers.types else "",
        "Degradations in an image": charts.histogram(slots, 0, 1, [str(n) for n in range(len(slots))]) if numbers.images else "",
        "Quality of JPEG sources": charts.histogram(quality, 0, 100) if any(quality) else "",
    }
    return "".join(f"<div><h3>{name}</h3>{chart or '<p>None.</p>'}</div>" for name, chart in made.items())


def levels(counts: Counter[float]) -> str:
    """One bar for each, or bins if they are many."""
    if not counts:
        return ""
    if len(counts) <= 10:
        known = sorted(counts)
        return charts.histogram([counts[level] for level in known], 0, 1, [f"{level:g}" for level in known])
    low, high = charts.span(list(counts), 1)
    bins = [0] * 20
    for level, n in counts.items():
        bins[min(int((level - low) / (high - low) * 20), 19)] += n
    return charts.histogram(bins, low, high)


def effect(numbers: Figures, seen: Sequence[sampled.Seen]) -> str:
    """PSNR and SSIM of each type along its severity."""
    similar: dict[str, list[tuple[float, float]]] = {}
    for one in seen:
        for name, severity in zip(one.row["types"], one.row["severities"]):
            if one.ssim is not None and (len(one.row["types"]) == 1 or name not in numbers.alone):
                similar.setdefault(name, []).append((severity, one.ssim))
    curves = {name: (numbers.alone.get(name) or numbers.mixed[name]).points() for name in sorted({*numbers.alone, *numbers.mixed})}
    if not curves:
        return "<p>No image was changed.</p>"
    low, high = charts.span([v for points in curves.values() for _, _, least, most in points for v in (least, most)], 10)
    least = charts.span([0.99, *(v for dots in similar.values() for _, v in dots)], 0.2)[0]
    cards = []
    for name, points in curves.items():
        others = "" if name in numbers.alone else " <small>with others in the image</small>"
        dots = similar.get(name, [])
        below = f"<h4>SSIM</h4>{charts.curve([], dots, least, 1.0)}" if dots else ""
        head = f"<h3>{escape(name.replace('_', ' '))}{others}</h3><h4>PSNR, dB</h4>"
        cards.append(f"<article>{head}{charts.curve(points, [], low, high, ' dB')}{below}</article>")
    return f'<p>{_about_effect(numbers, seen)}</p><div class="charts">{"".join(cards)}</div>'


def _about_effect(numbers: Figures, seen: Sequence[sampled.Seen]) -> str:
    said = ["PSNR against the severity: the mean, between the least and the most. It is of the whole image, also where only a part was degraded."]
    if sampled.measures_ssim():
        said.append(f"SSIM is of the luma, of {sum(one.ssim is not None for one in seen):,} images chosen at random.")
    else:
        said.append("SSIM was left out: scikit-image is not installed.")
    if numbers.unchanged:
        said.append(f"Images equal to their source, which have no PSNR: {numbers.unchanged:,}.")
    return " ".join(said)


# ---- sheet -----------------------------------------------------------------------------------------------------------


def sheet(seen: Sequence[sampled.Seen], images: int) -> str:
    """Source and result side by side, and what was done."""
    if not seen:
        return "<p>There is none.</p>"
    cards = []
    for one in seen:
        pair = "".join(
            f'<img src="{picture}" alt="{what}" title="{what}">' if picture else f"<span>{what} cannot be read</span>"
            for what, picture in (("source", one.source), ("result", one.result))
        )
        measured = [f"of {escape(one.row['key'])}", f"{one.row['width']} × {one.row['height']}"]
        measured += ["equal to its source" if one.row["psnr"] is None else f"PSNR {one.row['psnr']:.1f} dB"]
        measured += [] if one.ssim is None else [f"SSIM {one.ssim:.3f}"]
        done = "".join(f"<li>{escape(n.heading)}, {escape(n.aside)}<small>{escape(' · '.join(n.lines))}</small></li>" for n in sampled.words(one.row))
        cards.append(
            f'<article><div class="pair">{pair}</div><h3>{escape(one.row["file"])}</h3><p>{" · ".join(measured)}</p><ol>{done}</ol></article>'
        )
    return f'<p>{len(seen)} of {images:,}, chosen at random; masks are outlined.</p><div class="sheet">{"".join(cards)}</div>'
