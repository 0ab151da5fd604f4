"""Data sets of images that people scored, read as their authors give them out: `load("kadid10k", root)`.

None can be had without its authors. Whatever they publish, a mean opinion score or its difference to the original's, scores here are higher for
better images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .tables import look_up, number, rows

Array = np.ndarray[Any, Any]
SETS = ("training", "validation", "test")


@dataclass(frozen=True)
class Scores:
    """Images and what people said of them, n of each.

    name    the data set's official name
    files   of the images
    scores  (n,) float64, higher is better
    groups  (n,) str: the image from which each was made, or its own name where there is none. Images of one group must not be both learned from
            and tested on
    sign    1, or -1 where the published scores are lower for better images: `scores` are those times `sign`
    split   (n,) str: "training", "validation" or "test" by the authors' own split; None where there is none
    """

    name: str
    files: tuple[Path, ...]
    scores: Array
    groups: Array
    sign: int = 1
    split: Array | None = None

    def __len__(self) -> int:
        return len(self.files)


class Source(NamedTuple):
    """A data set's official name, where its authors offer it, what its folder holds, and what reads it."""

    name: str
    where: str
    holds: str
    read: Callable[[Path, Source], Scores]

    def find(self, root: Path, *names: str) -> Path:
        """The first of these files or folders that is there.

        Raises:
            FileNotFoundError: none of them, naming what is missing, where, and what should be there.
        """
        for name in names:
            if (root / name).exists():
                return root / name
        raise FileNotFoundError(
            f"root={str(root)!r} holds no {' or '.join(names)}; accepted: the folder of {self.name}, which is to be downloaded from its authors "
            f"({self.where}), with {self.holds}."
        )

    def scores(
        self,
        table: Path,
        folder: Path,
        names: Sequence[str],
        values: Sequence[str],
        groups: Sequence[str],
        sign: int = 1,
        split: Sequence[str] | None = None,
    ) -> Scores:
        """Rows of a table as scores of images in a folder.

        Raises:
            ValueError: what is no number. FileNotFoundError: images that are not there.
        """
        scored = np.array([number(value, table, name) for value, name in zip(values, names)])
        return Scores(self.name, look_up(folder, names), sign * scored, np.array(groups), sign, None if split is None else np.array(split))


def load(name: str, root: str | Path) -> Scores:
    """A data set by its name in `SOURCES`, from the folder that its authors' files were unpacked into.

    Raises:
        ValueError: another name, or a table that is not as published. FileNotFoundError: files that are not there. ModuleNotFoundError: a
        library that its files need.
    """
    if name not in SOURCES:
        raise ValueError(f"dataset={name!r} is not accepted; accepted: {', '.join(SOURCES)}.")
    return SOURCES[name].read(Path(root), SOURCES[name])


def kadid10k(root: Path, source: Source) -> Scores:
    """Its "dmos" is 1 to 5 and higher for better images, whatever the name says."""
    table, folder = source.find(root, "dmos.csv"), source.find(root, "images")
    found = rows(table, ("dist_img", "ref_img", "dmos"))
    names, values, groups = ([row[key] for row in found] for key in ("dist_img", "dmos", "ref_img"))
    return source.scores(table, folder, names, values, groups)


def tid2013(root: Path, source: Source) -> Scores:
    """A line is a score and a file's name, whose first three characters name the reference. Names differ from the files' in case in some releases."""
    table, folder = source.find(root, "mos_with_names.txt"), source.find(root, "distorted_images")
    lines = [line.split() for line in table.read_text().splitlines() if line.strip()]
    odd = next((i for i, line in enumerate(lines) if len(line) != 2), None if lines else 0)
    if odd is not None:
        raise ValueError(f"{str(table)!r} is not as published at line {odd + 1}; accepted: lines of a score and a file's name.")
    values, names = zip(*lines)
    return source.scores(table, folder, names, values, [name[:3].upper() for name in names])


# Of the table's words for a type: the folder, and how the files' names have it.
CSIQ = {
    "noise": ("awgn", "AWGN"), "blur": ("blur", "BLUR"), "contrast": ("contrast", "contrast"), "fnoise": ("fnoise", "fnoise"),
    "jpeg": ("jpeg", "JPEG"), "jpeg 2000": ("jpeg2000", "jpeg2000"),
}  # fmt: skip


def csiq(root: Path, source: Source) -> Scores:
    """The sheet of the published workbook, or the same as CSV. Differences to the original: lower is better."""
    table = source.find(root, "csiq.DMOS.csv", "csiq.DMOS.xlsx")
    folder = root / "dst_imgs" if (root / "dst_imgs").is_dir() else source.find(root, "dst_imgs", "awgn").parent  # the archive unpacks to either
    found = rows(table, ("image", "dst_type", "dst_lev", "dmos"), "all_by_image")
    unknown = next((row["dst_type"] for row in found if row["dst_type"].lower() not in CSIQ), None)
    if unknown is not None:
        raise ValueError(f"{str(table)!r} has dst_type {unknown!r}; accepted: {', '.join(CSIQ)}.")
    names, images = [], [row["image"].removesuffix(".0") for row in found]  # some are numbers
    for row, image in zip(found, images):
        inside, kind = CSIQ[row["dst_type"].lower()]
        names.append(f"{inside}/{image}.{kind}.{number(row['dst_lev'], table, image):g}.png")
    return source.scores(table, folder, names, [row["dmos"] for row in found], images, -1)


LIVE = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}  # images in each folder, in the order of the arrays


def live(root: Path, source: Source) -> Scores:
    """Arrays over the images of all folders, one after the other. Those marked as originals are left out. Differences: lower is better."""
    table, names_of = source.find(root, "dmos_realigned.mat", "dmos.mat"), source.find(root, "refnames_all.mat")
    held, count = {**_mat(names_of), **_mat(table)}, sum(LIVE.values())
    wanted = ((table, "dmos_new" if "dmos_new" in held else "dmos"), (table, "orgs"), (names_of, "refnames_all"))
    for path, key in wanted:
        size = np.size(held.get(key, ()))
        if size != count:
            raise ValueError(f"{str(path)!r} has {size} values of {key}; accepted: {count}, one for each image of release 2.")
    scored, originals, references = (np.ravel(held[key]) for _, key in wanted)
    names = [f"{folder}/img{i + 1}.bmp" for folder, images in LIVE.items() for i in range(images)]
    kept = np.flatnonzero(originals == 0)
    groups = [str(np.ravel(references[i])[0]) for i in kept]  # MATLAB's cells are arrays in an array
    return source.scores(table, root, [names[i] for i in kept], [repr(float(scored[i])) for i in kept], groups, -1)


def _mat(path: Path) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{str(path)!r} needs scipy, which is not installed: pip install scipy.") from None
    try:
        return dict(loadmat(path))
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ValueError(f"{str(path)!r} is no file of MATLAB: {error}; accepted: the file as published.") from None


def koniq10k(root: Path, source: Source) -> Scores:
    """ "MOS_zscore", which weighs people by how they use the scale, where the table has it. The split is in a table of its own."""
    table = source.find(root, "koniq10k_scores_and_distributions.csv", "koniq10k_distributions_sets.csv")
    folder, sets = source.find(root, "1024x768", "512x384"), root / "koniq10k_distributions_sets.csv"
    found = rows(table, ("image_name", "MOS"))
    names, split = [row["image_name"] for row in found], None
    if sets.exists():
        said = {row["image_name"]: row["set"] for row in rows(sets, ("image_name", "set"))}
        odd = next((name for name in names if said.get(name) not in SETS), None)
        if odd is not None:
            raise ValueError(f"{str(sets)!r} has {said.get(odd)!r} as the set of {odd!r}; accepted: {', '.join(SETS)}.")
        split = [said[name] for name in names]
    return source.scores(table, folder, names, [row.get("MOS_zscore") or row["MOS"] for row in found], names, split=split)


def spaq(root: Path, source: Source) -> Scores:
    """The published workbook, or the same as CSV."""
    stem = "Annotations/MOS and Image attribute scores"
    table, folder = source.find(root, f"{stem}.csv", f"{stem}.xlsx"), source.find(root, "TestImage")
    found = rows(table, ("Image name", "MOS"))
    names = [row["Image name"] for row in found]
    return source.scores(table, folder, names, [row["MOS"] for row in found], names)


def flive(root: Path, source: Source) -> Scores:
    """Whole pictures, without their patches. "is_valid", where the table has it, marks those on which the authors measure."""
    table, folder = source.find(root, "labels_image.csv", "database/labels_image.csv"), source.find(root, "database")
    found = rows(table, ("name", "mos"))
    names = [row["name"] for row in found]
    marks = [row.get("is_valid", "").lower() for row in found]
    split = ["test" if mark in ("true", "1") else "training" for mark in marks] if any(marks) else None
    return source.scores(table, folder, names, [row["mos"] for row in found], names, split=split)


SOURCES = {
    "kadid10k": Source(
        "KADID-10k", "https://database.mmsp-kn.de/kadid-10k-database.html", "dmos.csv (dist_img, ref_img, dmos, var) and images/", kadid10k
    ),
    "tid2013": Source(
        "TID2013", "https://www.ponomarenko.info/tid2013.htm", "mos_with_names.txt (a score and a name in each line) and distorted_images/", tid2013
    ),
    "csiq": Source(
        "CSIQ", "https://s2.smu.edu/~eclarson/csiq.html",
        "csiq.DMOS.xlsx, or its sheet all_by_image (image, dst_idx, dst_type, dst_lev, dmos_std, dmos) as csiq.DMOS.csv, and dst_imgs/", csiq,
    ),
    "live": Source(
        "LIVE, release 2", "https://live.ece.utexas.edu/research/quality/subjective.htm",
        f"dmos_realigned.mat or dmos.mat, refnames_all.mat, and {', '.join(f'{folder}/' for folder in LIVE)}", live,
    ),
    "koniq10k": Source(
        "KonIQ-10k", "https://database.mmsp-kn.de/koniq-10k-database.html",
        "koniq10k_scores_and_distributions.csv (image_name, MOS, MOS_zscore), koniq10k_distributions_sets.csv (image_name, set) for the split, and 1024x768/ "
        "or 512x384/", koniq10k,
    ),
    "spaq": Source(
        "SPAQ", "https://github.com/h4nwei/SPAQ", "Annotations/MOS and Image attribute scores.xlsx (Image name, MOS), or the same as .csv, and TestImage/", spaq
    ),
    "flive": Source("FLIVE (PaQ-2-PiQ)", "https://github.com/niu-haoran/FLIVE_Database", "labels_image.csv (name, mos) and database/", flive),
}  # fmt: skip
