"""Runs that are killed, disks that are full: run again, the tree is that of a run that nothing stopped."""

import errno
import multiprocessing
import os
import random
import signal
import sys
import time

import pytest
from image_files import PIPE, folder, picture, save, tree

from degrade.cli import main
from degrade.datasets import generate, verify

FORMATS = ("png", "webdataset", "parquet")
SHARDS = 3


@pytest.fixture(scope="module")
def start():
    """Start a function in a process of its own: a fork of a server that has imported everything, so that what is killed is the work."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs processes that fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "pytest",
            "degrade.cli",
            "degrade.datasets",
            "degrade.banks",
            "degrade.program_data",
            "pandas",
            "pyarrow.parquet",
            "PIL.ImageOps",
            "PIL.BmpImagePlugin",
        ]
    )

    def begin(target, *arguments):
        process = context.Process(target=target, args=arguments)
        process.start()
        return process

    return begin


def work(src, out, format):
    generate(src, PIPE, out, format=format, shards=SHARDS, per_image=2, workers=2, device="cpu")


@pytest.fixture(scope="module")
def src(tmp_path_factory):
    src = folder(tmp_path_factory.mktemp("faults") / "src", 10)
    (src / "broken.png").write_bytes(b"no image")
    return src


@pytest.mark.parametrize("kills", (pytest.param(4, id="few"), pytest.param(24, id="many", marks=pytest.mark.heavy)))
@pytest.mark.parametrize("format", FORMATS)
def test_killed_anywhere_and_run_again_the_tree_is_the_same(start, src, tmp_path, format, kills):
    whole, out, rng = tmp_path / "whole", tmp_path / "out", random.Random(f"{format} {kills}")
    work(src, whole, format)
    expected = tree(whole)
    for name in ("warm", "timed"):
        started = time.monotonic()
        process = start(work, src, tmp_path / name, format)
        process.join()
        took = time.monotonic() - started
        assert process.exitcode == 0 and tree(tmp_path / name) == expected
    done = round_ = 0
    while done < kills:
        round_ += 1
        assert round_ < 10 * kills
        process = start(work, src, out, format)
        process.join(rng.uniform(0, took))
        process.kill()
        process.join()
        if process.exitcode == 0:  # it was faster
            assert tree(out) == expected
            out = tmp_path / f"out{round_}"
            continue
        assert process.exitcode == -signal.SIGKILL
        done += 1
        for name, data in tree(out).items():  # under its name, a file is whole at any time
            if not name.rpartition("/")[2].startswith("."):
                assert data == expected[name], name
    last = start(work, src, out, format)
    last.join()
    assert last.exitcode == 0 and tree(out) == expected and verify(out) == []


@pytest.mark.parametrize("format", FORMATS)
def test_killed_before_each_file_gets_its_name(start, tmp_path, format):
    """Where a random moment hardly falls."""
    src, whole, out = folder(tmp_path / "src", 2), tmp_path / "whole", tmp_path / "out"
    work(src, whole, format)
    for renames in range(20):
        process = start(die_at, renames, src, out, format)
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert renames > 2 and tree(out) == tree(whole)


def die_at(renames, src, out, format):
    from pathlib import Path

    left, replace = [renames], Path.replace

    def dying(self, target):
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return replace(self, target)

    Path.replace = dying
    work(src, out, format)


def test_a_draft_of_the_job_does_not_bar_the_folder(src, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".job.json.123.part").write_bytes(b"{")
    work(src, out, "png")
    assert not [name for name in tree(out) if name.endswith(".part")]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty, and holds no job"):
        work(src, tmp_path / "other", "png")
    assert list(tree(tmp_path / "other")) == ["notes.txt"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("good", (0, 2, 9))
def test_a_full_disk_stops_with_a_sentence_and_the_next_run_completes(src, tmp_path, monkeypatch, capsys, format, good):
    work(src, tmp_path / "whole", format)
    left, fsync, out = [good], os.fsync, tmp_path / "out"

    def full(handle):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    PIPE.save(tmp_path / "pipe.yaml")
    arguments = ["generate", str(src), "--out", str(out), "--pipeline", str(tmp_path / "pipe.yaml"), "--format", format, "--no-summary"]
    arguments += ["--shards", str(SHARDS), "--per-image", "2", "--workers", "2", "--device", "cpu"]
    assert main(arguments) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "No space left on device" in said[0] and said[0].startswith("degrade: ")
    monkeypatch.undo()
    assert main(arguments) == 1  # one source is broken
    assert tree(out) == tree(tmp_path / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize("format", FORMATS)
def test_a_write_that_fails_for_real_stops_the_same_way(start, tmp_path, format):
    """A limit on the size of files: C++ and Python both meet it in the middle of a write."""
    for i in range(4):
        save(tmp_path / "src" / f"{i}.png", i, 90, 90)
    start(limited, tmp_path, format, -1, "whole").join()
    start(limited, tmp_path, format, 9_000, "out").join()
    code, said = (tmp_path / "said").read_text().split("\n", 1)
    assert code == "2" and said.count("\n") == 1 and "File too large" in said, said
    start(limited, tmp_path, format, -1, "out").join()
    assert (tmp_path / "said").read_text() == "0\n" and tree(tmp_path / "out") == tree(tmp_path / "whole")


def limited(folder, format, size, name):
    import contextlib
    import io
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    said, kept = io.StringIO(), resource.getrlimit(resource.RLIMIT_FSIZE)
    PIPE.save(folder / "pipe.yaml")
    if size >= 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, kept[1]))
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        arguments = [
            "generate",
            str(folder / "src"),
            "--out",
            str(folder / name),
            "--pipeline",
            str(folder / "pipe.yaml"),
            "--format",
            format,
            "--no-summary",
        ]
        code = main([*arguments, "--workers", "2", "--device", "cpu"])
    resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    (folder / "said").write_text(f"{code}\n{said.getvalue()}")


def test_a_name_as_long_as_names_can_be(tmp_path):
    save(tmp_path / "src" / ("x" * 251 + ".png"))
    summary = generate(tmp_path / "src", PIPE, tmp_path / "out")
    assert summary.images == 1 and verify(tmp_path / "out") == [] and picture().shape == (24, 16, 3)
