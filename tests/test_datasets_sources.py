"""What is found in folders, tars, tables and saved data sets, and what each image is called."""

import io
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest
from image_files import PIPE, encoded, folder, picture, save

from degrade.datasets import generate, manifest
from degrade.datasets.decode import Decoder
from degrade.datasets.sources import Entry, entries, names


def keys(*sources):
    return [entry.key for entry in entries(sources)[0]]


def called(*found):
    return names([Entry(key, key) for key in found])


def tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def errors(out):
    return {Path(e["key"]).name: (e["kind"], e["reason"]) for e in manifest.read(out / "errors.parquet")}


def test_a_folder_gives_its_images_in_order_of_their_names(tmp_path):
    src = tmp_path / "my photos"
    for name in ("b.png", "a b.JPG", "ä ö.Png", "深/日本.webp", "deep/er/x.TIFF", "#1.png", "50%.png", "dots.in.name.png"):
        save(src / name)
    for name in ("notes.txt", ".hidden.png", "._b.png", "archive.zip"):
        (src / name).write_text("x")
    expected = ["#1.png", "50%.png", "a b.JPG", "b.png", "deep/er/x.TIFF", "dots.in.name.png", "ä ö.Png", "深/日本.webp"]
    assert keys(src) == [f"my photos/{name}" for name in expected]
    assert keys(str(src)) == keys(os.path.relpath(src)) == keys(f"{tmp_path}/my*")
    for format in ("png", "webdataset", "parquet"):
        summary = generate(src, PIPE, tmp_path / format, format=format, workers=1)
        assert (summary.images, summary.errors) == (8, 0)
        from degrade.datasets import DegradedImages, verify

        assert verify(tmp_path / format) == []
        assert [row["row"]["key"] for row in DegradedImages(tmp_path / format)] == keys(src)


def test_keys_do_not_depend_on_other_sources_nor_their_order(tmp_path):
    a, b = folder(tmp_path / "a", 3), folder(tmp_path / "b", 3)
    t = tar(tmp_path / "t.TAR", [("x/y.png", encoded(picture()))])
    one = save(tmp_path / "one.png")
    assert keys(a, b, t, one) == keys(one, t, b, a) == sorted(keys(a) + keys(b) + keys(t) + keys(one))
    assert keys(t) == ["t/x/y.png"] and keys(one) == ["one.png"] and keys(a)[0] == "a/000.png"
    assert keys(f"{tmp_path}/[ab]") == keys(a, b)


def test_names_never_clash_on_any_file_system(tmp_path):
    assert called("a/x.png", "b/x.png", "c.d.png") == ["a/x", "b/x", "c.d"]
    assert called("x.png", "x.jpg") == ["x.png", "x.jpg"]
    cases = (
        ("x.png", "X.png"), ("x.png", "x.PNG"), ("x.png", "x.jpg", "x.png.png"), ("é.png", "e\u0301.png"),
        ("x.png", "x.jpg", "X.JPG", "x.png.webp", "x.PNG.png"), ("ß.png", "ss.png"), ("A/x.png", "a/x.png"),
    )  # fmt: skip
    for case in cases:
        made = called(*case)
        assert len({name.casefold() for name in made}) == len(case), made
        assert dict(zip(case, made)) == dict(zip(case[::-1], called(*case[::-1])))
    src = tmp_path / "src"
    for i, name in enumerate(("x.png", "x.bmp", "x.png.png", "X.png", "y.png")):
        save(src / name, i)
    generate(src, PIPE, tmp_path / "out", per_image=2, workers=2)
    rows = manifest.read(tmp_path / "out/manifest.parquet")
    assert len({row["file"].casefold() for row in rows}) == len(rows) == len(keys(src)) * 2
    assert len(list((tmp_path / "out/images").rglob("*.png"))) == len(rows)


def test_links_are_followed_and_loops_end(tmp_path):
    src = folder(tmp_path / "src", 2)
    os.symlink(src, src / "loop")
    os.symlink(tmp_path / "nowhere.png", src / "dangling.png")
    os.symlink(src / "self.png", src / "self.png")
    elsewhere = folder(tmp_path / "elsewhere", 1)
    os.symlink(elsewhere, src / "linked")
    assert keys(src) == [f"src/{name}" for name in ("000.png", "001.png", "dangling.png", "linked/000.png", "self.png")]
    summary = generate(src, PIPE, tmp_path / "out", workers=2)
    assert (summary.images, summary.errors) == (3, 2)
    assert errors(tmp_path / "out")["dangling.png"] == ("error", "No such file or directory")
    assert "symbolic links" in errors(tmp_path / "out")["self.png"][1]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_listed(tmp_path):
    src = folder(tmp_path / "src", 2)
    os.chmod(src / "000.png", 0)
    folder(src / "shut", 1)
    os.chmod(src / "shut", 0)
    summary = generate(src, PIPE, tmp_path / "out")
    os.chmod(src / "shut", 0o700)
    assert (summary.images, summary.errors) == (1, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_refused(tmp_path):
    src = folder(tmp_path / "src", 1)
    (src / os.fsdecode(b"bad\xff.png")).write_bytes(encoded(picture()))
    summary = generate(src, PIPE, tmp_path / "out")
    assert (summary.images, summary.errors) == (1, 1) and errors(tmp_path / "out")["bad\\xff.png"][1] == "its name is not UTF-8"


def test_tars_are_read_in_place_and_nothing_leads_out(tmp_path):
    data = [encoded(picture(i)) for i in range(4)]
    path = tar(tmp_path / "t.tar", [("a.png", data[0]), ("../x.png", data[1]), ("/etc/y.png", data[2]), ("notes.txt", b"x"), ("d/b.PNG", data[3])])
    found, refused = entries([path])
    assert [(e.key, e.read()) for e in found] == [("t/a.png", data[0]), ("t/d/b.PNG", data[3])]
    assert refused == [(f"{path}#../x.png", "its name leads out of the tar"), (f"{path}#/etc/y.png", "its name leads out of the tar")]
    summary = generate(path, PIPE, tmp_path / "out")
    assert (summary.images, summary.errors) == (2, 2) and errors(tmp_path / "out")["x.png"] == ("error", "its name leads out of the tar")
    assert not (tmp_path / "x.png").exists() and not (tmp_path / "out/x.png").exists()
    with pytest.raises(ValueError, match="leads out"):
        generate(path, PIPE, tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


def test_a_damaged_tar_is_listed_with_what_it_still_holds(tmp_path):
    whole = tar(tmp_path / "t.tar", [(f"{i}.png", encoded(picture(i))) for i in range(4)]).read_bytes()
    with tarfile.open(tmp_path / "t.tar") as file:
        members = file.getmembers()
    cut = members[2].offset_data + members[2].size // 2
    border = members[2].offset
    hit = bytearray(whole)
    hit[border + 10] ^= 255  # the name in a header, of which the sum is then wrong
    for n, (data, images, wrong) in enumerate(((whole[:cut], 2, 2), (whole[:border], 2, 1), (bytes(hit), 2, 1), (whole, 4, 0))):
        path = tmp_path / str(n) / "t.tar"
        path.parent.mkdir()
        path.write_bytes(data)
        summary = generate(path, PIPE, tmp_path / f"out{n}")
        assert (summary.images, summary.errors) == (images, wrong), n
        assert "t.tar" in errors(tmp_path / f"out{n}") or not wrong
    for data, reason in (
        (b"", "empty file"),
        (b"no tar at all" * 99, "invalid header|truncated header|bad checksum"),
        (whole[:300], "truncated header"),
    ):
        (tmp_path / "bad.tar").write_bytes(data)
        with pytest.raises(ValueError, match=f"SRC holds no image .*({reason})"):
            generate(tmp_path / "bad.tar", PIPE, tmp_path / "none")


def test_tables_of_bytes_and_of_structs(tmp_path):
    data = [encoded(picture(i)) for i in range(3)]
    parquet.write_table(pyarrow.table({"image": data, "label": [1, 2, 3]}), tmp_path / "plain.parquet")
    structs = [{"bytes": d, "path": "x.png"} for d in data[:2]] + [{"bytes": None, "path": str(save(tmp_path / "far.png", 7))}]
    parquet.write_table(pyarrow.table({"image": structs}), tmp_path / "structs.parquet")
    parquet.write_table(pyarrow.table({"image": [data[0], None, b"text"]}), tmp_path / "gaps.parquet")
    parquet.write_table(pyarrow.table({"image": ["text", "more"]}), tmp_path / "text.parquet")
    found, _ = entries([tmp_path / "plain.parquet", tmp_path / "structs.parquet"])
    assert [e.key for e in found] == [f"{stem}/{i:08d}" for stem in ("plain", "structs") for i in range(3)]
    for entry, seed in zip(found, (0, 1, 2, 0, 1, 7)):
        assert (Decoder()(entry.read()).pixels == picture(seed)).all()
    summary = generate(str(tmp_path / "*.parquet"), PIPE, tmp_path / "out")
    assert (summary.images, summary.errors) == (7, 4)
    assert errors(tmp_path / "out")["00000001"] == ("error", "row 1 holds a str; accepted: an image file as bytes")
    parquet.write_table(pyarrow.table({"picture": data}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"other.parquet' has no column 'image'; accepted"):
        entries([tmp_path / "other.parquet"])
    (tmp_path / "no.parquet").write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"no.parquet' is no Parquet file, or damaged"):
        entries([tmp_path / "no.parquet"])


def test_a_saved_data_set(tmp_path):
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"image": [{"bytes": encoded(picture(i)), "path": None} for i in range(3)]})
    made = made.cast_column("image", datasets.Image())
    made.save_to_disk(tmp_path / "saved")
    found, _ = entries([tmp_path / "saved"])
    assert [e.key for e in found] == [f"saved/{i:08d}" for i in range(3)]
    assert all((Decoder()(e.read()).pixels == picture(i)).all() for i, e in enumerate(found))
    assert generate(tmp_path / "saved", PIPE, tmp_path / "out", workers=2).images == 3
    datasets.DatasetDict(train=made, test=made).save_to_disk(tmp_path / "splits")
    with pytest.raises(ValueError, match=r"several splits; accepted: one of them, .*splits/test, .*splits/train"):
        entries([tmp_path / "splits"])
    datasets.Dataset.from_dict({"picture": [1]}).save_to_disk(tmp_path / "other")
    with pytest.raises(ValueError, match="has no column 'image'"):
        entries([tmp_path / "other"])


def test_a_table_that_changes_is_read_again(tmp_path):
    path = tmp_path / "t.parquet"
    for seed in (1, 2):
        parquet.write_table(pyarrow.table({"image": [encoded(picture(seed))]}), path)
        os.utime(path, ns=(seed, seed))
        assert (Decoder()(entries([path])[0][0].read()).pixels == picture(seed)).all()


def test_two_of_one_name_and_nothing_at_all_are_refused(tmp_path):
    a, b = save(tmp_path / "a/x.png"), save(tmp_path / "b/x.png")
    with pytest.raises(ValueError, match=r"SRC holds two images called 'x.png'"):
        entries([a, b])
    double = tar(tmp_path / "t.tar", [("x.png", encoded(picture(1))), ("x.png", encoded(picture(2)))])
    with pytest.raises(ValueError, match=r"two images called 't/x.png'"):
        entries([double])
    with pytest.raises(ValueError, match=r"SRC '.*none\*' does not exist"):
        entries([f"{tmp_path}/none*"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"SRC holds no image; accepted: files that end in .avif"):
        generate(tmp_path / "empty", PIPE, tmp_path / "out")
    assert np.array_equal(Decoder()(a.read_bytes()).pixels, picture())
