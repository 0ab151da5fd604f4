"""Data sets as a whole: the same whatever the shards, workers and neighbours; made again, verified, read by torch, and bad input in one sentence."""

import json
import os
import shutil
import tarfile
import threading
import weakref

import numpy as np
import pytest
import torch
from image_files import PIPE, SIZES, folder, picture, save, tree

import degrade
from degrade import banks
from degrade.cli import main
from degrade.datasets import DegradedImages, generate, manifest, rebuild, shard, verify
from degrade.datasets.decode import Decoder
from degrade.datasets.write import read_file


@pytest.fixture(scope="module")
def src(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("generate") / "src", 9)


@pytest.fixture(scope="module")
def made(src, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    generate(src, PIPE, out, per_image=2, workers=2)
    return out


def rows(out):
    return manifest.read(out / "manifest.parquet")


def images(out):
    """By key and variant: the bytes of the image and of its mask."""
    return {
        (row["key"], row["variant"]): (read_file(out, row["file"]), row["mask"] and read_file(out, row["mask"], "mask"), row["id"])
        for row in rows(out)
    }


# ---- the same whatever lies around ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards, workers", ((1, 1), (4, 4), (99, 2)))
def test_shards_and_workers_change_nothing(src, made, tmp_path, shards, workers):
    generate(src, PIPE, tmp_path / "out", per_image=2, shards=shards, workers=workers)
    expected, got = tree(made), tree(tmp_path / "out")
    assert {k: v for k, v in got.items() if not k.startswith(("parts/", "job"))} == {
        k: v for k, v in expected.items() if not k.startswith(("parts/", "job"))
    }
    for format in ("webdataset", "parquet"):
        generate(src, PIPE, tmp_path / format, per_image=2, shards=shards, workers=workers, format=format)
        assert images(tmp_path / format) == images(made)


def test_small_batches_change_nothing(src, made, tmp_path, monkeypatch):
    monkeypatch.setattr(shard, "BATCH", 500)
    monkeypatch.setattr(shard, "HELD", 900)
    monkeypatch.setattr(manifest, "GROUP", 5)
    generate(src, PIPE, tmp_path / "out", per_image=2, workers=2)
    assert images(tmp_path / "out") == images(made) and rows(tmp_path / "out") == rows(made)
    monkeypatch.undo()
    assert manifest.join(tmp_path / "out", [tmp_path / "out/parts/000000.rows.parquet"], "again", manifest.schema()) == 18
    assert (tmp_path / "out/again").read_bytes() == (made / "manifest.parquet").read_bytes()


def test_each_image_is_by_its_name_alone(src, made, tmp_path):
    other = folder(tmp_path / "other", 3)
    generate([other, src], PIPE, tmp_path / "two", per_image=2, workers=1)
    few = tmp_path / "few" / "src"
    few.mkdir(parents=True)
    for name in ("003.png", "004.png"):
        shutil.copy(src / name, few / name)
    generate(few, PIPE, tmp_path / "out", per_image=2, workers=1)
    both, alone = images(tmp_path / "two"), images(made)
    assert {key: value for key, value in both.items() if key[0].startswith("src/")} == alone
    assert images(tmp_path / "out") == {key: value for key, value in alone.items() if key[0] in ("src/003.png", "src/004.png")}
    assert len({value[2] for value in both.values()}) == len(both) == 24


def test_results_and_rows_are_those_of_the_pipeline(src, made):
    for row in rows(made):
        x = torch.from_numpy(picture(int(row["key"][4:7]), row["height"], row["width"])).permute(2, 0, 1)
        y, labels = PIPE(x, ids=[row["id"]], labels=True)
        image, mask = (Decoder()(read_file(made, row[column])).pixels for column in ("file", "mask"))
        assert (image == y.permute(1, 2, 0).numpy()).all()
        assert np.abs(mask[..., 0] / 255 - labels.masks[0].amax(0).numpy()).max() <= 0.5 / 255 + 1e-6
        assert row["coverage"] == pytest.approx(mask.mean() / 255, abs=1e-5)
        error = np.square(image - x.permute(1, 2, 0).numpy().astype(float)).mean()
        assert row["psnr"] == (None if error == 0 else pytest.approx(10 * np.log10(255**2 / error), abs=1e-3))
        assert len(row["types"]) == len(row["severities"]) == len(row["levels"]) == len(row["areas"]) == len(json.loads(row["params"]))
        program = degrade.Program.from_dict(json.loads(row["program"]))
        assert (degrade.apply(program, x[None])[0] == y).all()


def test_all_levels_of_a_bank(tmp_path):
    save(tmp_path / "src/a.png", 1, 32, 32)
    bank = banks.kadid10k()
    assert generate(tmp_path / "src", bank, tmp_path / "out", all_levels=True, workers=2).images == 5 * len(bank.types)
    by_name = {row["variant"]: row for row in rows(tmp_path / "out")}
    assert sorted(by_name) == [f"{i + 1:02d}_{level:02d}" for i in range(len(bank.types)) for level in range(1, 6)]
    assert all(row["mask"] is None and row["file"] == f"images/src/a_{name}.png" for name, row in by_name.items())
    assert rebuild(tmp_path / "out", 7) == (tmp_path / "out" / rows(tmp_path / "out")[7]["file"]).read_bytes()


# ---- memory ---------------------------------------------------------------------------------------------------------------


def test_what_is_held_is_bounded_whatever_the_sizes(tmp_path, monkeypatch):
    """Every image of another size, the worst case: none can wait for company for ever."""
    for i in range(60):
        save(tmp_path / "src" / f"{i:02d}.png", i, 20 + i % 7, 20 + i)
    pixels, held, workers, lock, alive, peak = 70 * 27, 12_000, 2, threading.Lock(), [0], [0]
    monkeypatch.setattr(shard, "HELD", held)
    monkeypatch.setattr(shard, "BATCH", 6_000)
    call = Decoder.__call__

    def count(n):
        with lock:
            alive[0] += n
            peak[0] = max(peak[0], alive[0])

    def counted(self, data):
        decoded = call(self, data)
        own = decoded._replace(pixels=decoded.pixels.copy())
        n = own.pixels.size // 3
        count(n)
        weakref.finalize(own.pixels, count, -n)
        return own

    monkeypatch.setattr(Decoder, "__call__", counted)
    assert generate(tmp_path / "src", PIPE, tmp_path / "out", workers=workers, shards=1).images == 60
    total = sum((20 + i % 7) * (20 + i) for i in range(60))
    bound = 2 * held + (2 * workers + 3) * pixels  # waiting, being written, ahead, and what is in hand
    assert held < peak[0] <= bound < total, (peak[0], bound, total)


# ---- made again, verified, read -------------------------------------------------------------------------------------------


def test_every_row_can_be_made_again(src, made, tmp_path, capsys):
    for i, row in enumerate(rows(made)):
        assert rebuild(made, i) == rebuild(made / "manifest.parquet", i) == (made / row["file"]).read_bytes()
    assert main(["rebuild", str(made / "manifest.parquet"), "--row", "3", "--out", str(tmp_path / "x.png")]) == 0
    assert (tmp_path / "x.png").read_bytes() == rebuild(made, 3) and "row 3: the same" in capsys.readouterr().out
    for row in (-1, 18):
        assert main(["rebuild", str(made), "--row", str(row)]) == 2
        assert f"row {row} is not in the manifest; accepted: 0 to 17." in capsys.readouterr().err


@pytest.mark.parametrize("change", ("pixels", "size", "text", "gone"))
def test_a_source_that_changed_is_named(tmp_path, change, capsys):
    path = save(tmp_path / "src/a.png", 1)
    generate(tmp_path / "src", PIPE, tmp_path / "out", format="webdataset")
    assert rebuild(tmp_path / "out", 0)
    {"pixels": lambda: save(path, 2), "size": lambda: save(path, 1, 9, 9), "text": lambda: path.write_text("x"), "gone": path.unlink}[change]()
    assert main(["rebuild", str(tmp_path / "out"), "--row", "0"]) == 2
    said = capsys.readouterr().err
    assert str(path) in said and "has changed" in said and said.count("\n") == 1


@pytest.mark.parametrize("format", ("png", "webp", "jpg", "webdataset", "parquet"))
def test_verify_finds_what_is_wrong(src, tmp_path, format, capsys):
    out = tmp_path / "out"
    generate(src, PIPE, out, format=format, shards=2, workers=2)
    assert main(["verify", str(out)]) == 0 and "all files are as the manifest says" in capsys.readouterr().out
    row = rows(out)[0]
    path = out / row["file"].partition("#")[0]
    extra = path.parent / f"extra{path.suffix}"
    shutil.copy(path, extra)
    assert verify(out) == [(extra.relative_to(out).as_posix(), "not in the manifest")]
    extra.unlink()
    data = path.read_bytes()
    at = data.find(read_file(out, row["file"])[-40:-20])
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    os.utime(path, ns=(1, 1))
    wrong = dict(verify(out))
    assert wrong[row["file"]] == "changed" or "unreadable" in wrong[row["file"]]
    path.write_bytes(data[: len(data) // 3])
    own = [file for file, _ in verify(out) if file.startswith(row["file"].partition("#")[0])]
    assert own and main(["verify", str(out)]) == 1
    path.unlink()
    wrong = dict(verify(out))
    assert wrong[row["file"]] == "missing" and rows(out)[-1]["file"] not in wrong


@pytest.mark.parametrize("format", ("png", "webdataset", "parquet"))
def test_torch_reads_files_or_makes_them_anew(src, tmp_path, format):
    out = tmp_path / "out"
    generate(src, PIPE, out, format=format, workers=2)
    read, anew = DegradedImages(out, reference=True), DegradedImages(out / "manifest.parquet", regenerate=True)
    load = {"batch_size": 2, "num_workers": 2, "collate_fn": list, "timeout": 60}
    for data in (read, anew):
        items = [item for batch in torch.utils.data.DataLoader(data, **load) for item in batch]
        assert len(items) == len(data) == 9
        for i, item in enumerate(items):
            assert item["image"].shape == (3, *SIZES[i % 4]) and item["image"].dtype == torch.uint8
            assert (item["image"] == read[i]["image"]).all() and (item["mask"] == read[i]["mask"]).all() and item["mask"].shape == (1, *SIZES[i % 4])
            assert item["id"] == rows(out)[i]["id"] and item["types"] == rows(out)[i]["types"]
            if data is read:
                assert (item["reference"].permute(1, 2, 0).numpy() == picture(i, *SIZES[i % 4])).all()
    with pytest.raises(ValueError, match=r"holds no job\.json"):
        DegradedImages(src)


def test_webdataset_shards_hold_a_json_beside_each_image(src, tmp_path):
    generate(src, PIPE, tmp_path / "out", format="webdataset", shards=2)
    with tarfile.open(tmp_path / "out/shards/000000.tar") as tar:
        names = [member.name for member in tar]
        told = json.load(tar.extractfile(names[2]))
    assert [name.partition(".")[2] for name in names] == ["png", "mask.png", "json"] * 4 and told["key"].endswith(".png")
