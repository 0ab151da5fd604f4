"""summary.html: its figures are those that counting the manifest row by row gives, and what it shows is escaped and self-contained."""

import io
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

pq = pytest.importorskip("pyarrow.parquet")
Image = pytest.importorskip("PIL.Image")

from degrade import Compose, GaussianBlur, GaussianNoise, Jpeg, Local, OneOf, Pipeline, banks, masks  # noqa: E402
from degrade.cli import main  # noqa: E402
from degrade.datasets import charts, figures, generate, manifest, sampled  # noqa: E402
from degrade.datasets.decode import Decoder  # noqa: E402
from degrade.datasets.generate import plan  # noqa: E402
from degrade.datasets.job import read_job  # noqa: E402
from degrade.datasets.report import SHOWN, bank_of, first_of, reasons, report  # noqa: E402

NAMES = ("<b>.png", "a&b.jpg", 'quote".png', "${head}.png", "plain.jpg", "c.png", "low.jpg", "low2.jpg", "broken<i>.png")


@pytest.fixture(autouse=True)
def twins(monkeypatch):
    monkeypatch.setenv("DEGRADE_BACKEND", "torch")  # small images are not worth building kernels


def pixels(seed, size=(37, 45)):
    # Smooth, so that JPEG and blur leave something to measure.
    y, x = np.mgrid[: size[0], : size[1]] / 9.0
    return np.stack([127 + 100 * np.sin(x + seed), 127 + 100 * np.cos(y * seed), 127 + 90 * np.sin(x * y + seed)], -1).astype(np.uint8)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("src")
    for i, name in enumerate(NAMES):
        quality = (
            {"quality": 20 + i if name.startswith("low") else 75 + 5 * (i % 3), "format": "JPEG"} if name.endswith(".jpg") else {"format": "PNG"}
        )
        Image.fromarray(pixels(i, (37, 45) if i % 2 else (30, 52))).save(root / name, **quality)
    (root / "broken<i>.png").write_bytes(b"nothing")
    return root


def pipeline(seed=0):
    local = Local(OneOf(GaussianBlur(sigma=(0.5, 6)), GaussianNoise(std=(0.02, 0.3))), masks.Ellipse(area=(0.1, 0.5), feather=0.1), p=0.8)
    return Pipeline(Compose(local, Jpeg(quality=(5, 60), p=0.6)), seed=seed)


@pytest.fixture(scope="module")
def written(sources, tmp_path_factory):
    """A data set; what it holds stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEGRADE_BACKEND", "torch")
        return generate(sources, pipeline(), tmp_path_factory.mktemp("out") / "set", per_image=5, min_quality=50, workers=1, shards=3).out


@pytest.fixture(scope="module")
def page(written):
    return page_of(written)


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text, self.whole = Counter(), [], [], text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.links += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


def page_of(out):
    path = report(out)
    assert path == out / "summary.html"
    return Page(path.read_text(encoding="utf-8"))


def test_figures_are_those_of_counting_row_by_row(written, monkeypatch):
    monkeypatch.setattr(figures, "ROWS", 4)  # so that batches are joined
    rows = manifest.read(written / manifest.FILE)
    got = figures.figures(written / manifest.FILE, "2")
    assert got.images == len(rows) == 30
    by_source = {row["key"]: row for row in rows}
    assert got.sources == len(by_source) == 6
    assert got.codecs == Counter(row["codec"] for row in by_source.values())
    assert {q: n for q, n in enumerate(got.qualities.tolist()) if n} == Counter(r["jpeg_quality"] for r in by_source.values() if r["jpeg_quality"])
    assert got.slots.tolist() == [sum(len(row["types"]) == n for row in rows) for n in range(3)]
    assert all(got.slots)  # of all kinds, or the test is too easy
    assert got.types == Counter(name for row in rows for name in row["types"])
    for name in ("severities", "areas"):
        bins = Counter(min(int(value * figures.BINS), figures.BINS - 1) for row in rows for value in row[name])
        assert getattr(got, name).tolist() == [bins[i] for i in range(figures.BINS)]
    assert not got.levels
    assert got.unchanged == sum(row["psnr"] is None for row in rows) > 0
    assert (got.smallest, got.largest) == ((30, 52), (37, 45))
    assert got.sample.tolist() == sorted([row["id"], i] for i, row in enumerate(rows))
    for curves, wanted in ((got.alone, lambda row: len(row["types"]) == 1), (got.mixed, lambda row: len(row["types"]) > 1)):
        for name in got.types:
            values = {}
            for row in filter(wanted, rows):
                for kind, severity in zip(row["types"], row["severities"]):
                    if kind == name and row["psnr"] is not None:
                        values.setdefault(min(int(severity * figures.STEPS), figures.STEPS - 1), []).append((severity, row["psnr"]))
            points = curves[name].points() if name in curves else []
            own = [np.array(values[step]) for step in sorted(values)]
            assert np.allclose(points, [(*v.mean(0), v[:, 1].min(), v[:, 1].max()) for v in own] or [])


def test_levels_are_counted(sources, tmp_path):
    bank = banks.kadid10k(seed=3)
    out = generate([str(sources / "c.png")], bank, tmp_path / "set", per_image=9, workers=1).out
    levels = Counter(level for row in manifest.read(out / manifest.FILE) for level in row["levels"] if level is not None)
    assert figures.figures(out / manifest.FILE, "0").levels == levels and len(levels) > 2
    text = report(out).read_text(encoding="utf-8")
    for level, count in levels.items():
        assert f"<title>{level:g}: {count}</title>" in text
    assert "bank kadid10k, seed 3" in text


def test_the_page_says_what_the_manifest_says(written, page):
    rows, text = manifest.read(written / manifest.FILE), page.whole
    told = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    assert told["Images"] == "30" and told["Of each source"] == "5" and told["Errors"] == "1" and told["Skipped, as asked"] == "2"
    assert told["Sources"].startswith("6 of 9 read: PNG 4, JPEG 2") and told["Sizes"] == "52 × 30 to 45 × 37" and told["Format"] == "png"
    for name, count in Counter(name for row in rows for name in row["types"]).items():
        assert re.search(rf"<span>{name.replace('_', ' ')}</span><i>.*?</i><em>{count}</em>", text)
    assert text == report(written).read_text(encoding="utf-8")  # also its own size does not count


def test_names_are_text_and_nothing_is_fetched(written, page):
    assert not {"b>", "i>"} & set(page.tags) and page.tags["b"] == page.tags["i"] == len(figures.figures(written / manifest.FILE).types)
    assert page.tags["script"] == page.tags["link"] == page.tags["iframe"] == 0
    assert page.links and all(link.startswith("data:image/webp;base64,") for link in page.links)
    text = "".join(page.text)
    assert all(name in text for name in NAMES if not name.startswith("low2"))
    assert 'url("' not in text and "http" not in text


def test_the_sheet_shows_random_rows_always_the_same(written, page):
    rows = sorted(manifest.read(written / manifest.FILE), key=lambda row: row["id"])
    assert page.tags["img"] == 2 * SHOWN < 2 * len(rows)
    text = "".join(page.text)
    assert [row["file"] in text for row in rows] == [True] * SHOWN + [False] * (len(rows) - SHOWN)


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "webdataset", "parquet"])
def test_every_format(sources, tmp_path, format):
    out = generate([str(sources / "c.png"), str(sources / "plain.jpg")], pipeline(), tmp_path / "set", format=format, workers=1).out
    page = page_of(out)
    assert page.tags["img"] == 4 and "cannot be read" not in "".join(page.text)


def test_ssim_is_that_of_the_files(written):
    metrics = pytest.importorskip("skimage.metrics")
    job, rows = read_job(written), manifest.read(written / manifest.FILE)[:7]
    seen = list(sampled.look(written, job, rows, set(), {row["id"] for row in rows}))
    assert [one.row for one in seen] == rows and all(one.source == one.result == "" for one in seen)
    for one in seen:
        a, b = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float) @ [0.299, 0.587, 0.114] for data in (
            open(one.row["source"], "rb").read(), (written / one.row["file"]).read_bytes()))  # fmt: skip
        assert abs(one.ssim - metrics.structural_similarity(a, b, data_range=255, gaussian_weights=True, use_sample_covariance=False)) < 1e-4
    assert len({round(one.ssim, 3) for one in seen}) > 2
    assert sampled.ssim(np.zeros((10, 30, 3), np.uint8), np.zeros((10, 30, 3), np.uint8)) is None


def test_without_scikit_image_the_page_says_so(written, monkeypatch):
    monkeypatch.setattr(sampled, "measures_ssim", lambda: False)
    text = "".join(page_of(written).text)
    assert "SSIM was left out" in text and "chosen at random" in text and "SSIM 0" not in text


def test_masks_are_outlined():
    grey = np.full((90, 120, 3), 90, np.uint8)
    mask = np.zeros((90, 120, 3), np.uint8)
    mask[30:60, 40:80] = 255

    def decoded(uri):
        import base64

        return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")).astype(int)

    plain, lined = decoded(sampled.data_uri(grey)), decoded(sampled.data_uri(grey, mask))
    assert plain.shape == lined.shape == (216, 288, 3)
    changed = np.abs(plain - lined).max(2) > 60
    ys, xs = np.nonzero(changed)
    assert abs(ys.min() - 72) < 6 and abs(ys.max() - 144) < 6 and abs(xs.min() - 96) < 6 and abs(xs.max() - 192) < 6
    assert not changed[85:130, 110:180].any()  # inside nothing is drawn


def test_all_errors(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    (tmp_path / "y<script>.png").write_bytes(b"no")
    out = generate([str(tmp_path / "x.png"), str(tmp_path / "y<script>.png")], pipeline(), tmp_path / "set").out
    page = page_of(out)
    text = "".join(page.text)
    assert page.tags["img"] == page.tags["script"] == page.tags["svg"] == 0
    assert "the file is empty" in text and "y<script>.png" in text


def test_missing_files_leave_the_rest(written, tmp_path):
    out = shutil.copytree(written, tmp_path / "copy")
    rows = sorted(manifest.read(out / manifest.FILE), key=lambda row: row["id"])
    (out / rows[0]["file"]).unlink()
    (out / rows[1]["file"]).write_bytes(b"damaged")
    page = page_of(out)
    assert page.tags["img"] == 2 * SHOWN - 2 and "".join(page.text).count("result cannot be read") == 2


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no job\.json"):
        report(tmp_path)


def test_reasons_are_grouped_by_all_but_their_numbers():
    rows = [
        {"kind": "skipped", "reason": f"JPEG quality {q} is below --min-quality 50", "key": str(q)} for q in (3, 4, 4)
    ] + [{"kind": "error", "reason": "damaged: at 0x7f3a", "key": "e"}, {"kind": "error", "reason": "JPEG quality 3 is below --min-quality 50", "key": "f"}]  # fmt: skip
    assert reasons(rows) == [
        ("skipped", "JPEG quality … is below --min-quality 50", 3, "3"),
        ("error", "damaged: at 0x7f3a", 1, "e"),
        ("error", "JPEG quality 3 is below --min-quality 50", 1, "f"),
    ]


def test_pixels_that_are_decoded_are_bounded():
    rows = [{"id": i, "height": 10, "width": 10 * (i + 1)} for i in range(5)]
    assert first_of(rows, 3, 10_000) == [0, 1, 2] and first_of(rows, 9, 300) == [0, 1] and first_of(rows, 9, 1) == [0] and first_of([], 9, 1) == []


def test_some_rows_are_found_across_row_groups(tmp_path):
    import pyarrow

    table = pyarrow.table({"id": range(23), "key": [f"k{i}" for i in range(23)]})
    pq.write_table(table, tmp_path / "m.parquet", row_group_size=5)
    assert figures.rows_at(tmp_path / "m.parquet", np.array([22, 4, 5, 0]), ("key",)) == [{"key": k} for k in ("k0", "k4", "k5", "k22")]


def test_banks_are_recognised(written, sources):
    assert bank_of(read_job(written)) == ""
    job = plan([str(sources / "c.png")], banks.tid2013(seed=2), 1, True, None, "png", Decoder(), False)
    assert bank_of(job) == "bank tid2013, every type at every level"


def test_charts_draw_to_scale():
    heights = [float(h) for h in re.findall(r'class="bar".*?height="([\d.]+)"', charts.histogram([0, 5, 10], 0, 1))]
    assert heights[0] == 0 and heights[2] == pytest.approx(2 * heights[1], abs=0.1) and heights[2] > 100
    assert re.findall(r"width:([\d.]+)%", charts.bars({"a": 4, "<": 1})) == ["100.0", "25.0"] and "&lt;" in charts.bars({"<": 1})
    marks = re.findall(r'class="dot" cx="([\d.]+)" cy="([\d.]+)"', charts.curve([], [(0, 0.0), (1, 1.0)], 0, 1))
    assert float(marks[0][0]) < float(marks[1][0]) and float(marks[0][1]) > float(marks[1][1])
    assert charts.span([11.0, 34.0], 10) == (10, 40) and charts.span([5.0], 5) == (5, 10)


def test_the_command_writes_it_unless_told_not_to(sources, tmp_path, capsys):
    pipeline().save(tmp_path / "p.yaml")
    arguments = ["generate", str(sources / "c.png"), "--pipeline", str(tmp_path / "p.yaml"), "--workers", "1"]
    assert main([*arguments, "--out", str(tmp_path / "a")]) == 0
    assert f"summary   {tmp_path / 'a' / 'summary.html'}" in capsys.readouterr().out
    assert json.loads((tmp_path / "a" / "job.json").read_text())["format"] == "png" and (tmp_path / "a" / "summary.html").exists()
    assert main(["verify", str(tmp_path / "a")]) == 0  # the page is no file that is too many
    assert main([*arguments, "--out", str(tmp_path / "b"), "--no-summary"]) == 0
    assert not (tmp_path / "b" / "summary.html").exists()
