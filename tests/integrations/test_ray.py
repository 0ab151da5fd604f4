"""`degrade generate` on a local Ray of two workers: the same bits as on one machine, also if a worker is killed."""

import hashlib
import threading
import time

import numpy as np
import psutil
import pytest
from PIL import Image

from degrade import GaussianNoise, Local, Pipeline, datasets, masks

pytest.importorskip("ray.data")
pytestmark = pytest.mark.heavy


def tree(folder):
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.rglob("*") if f.is_file()}


@pytest.fixture(scope="module")
def cluster():
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def workers():
    """The processes of the actors that degrade."""
    found = (p for p in psutil.process_iter(["cmdline"]) if "MapWorker" in " ".join(p.info["cmdline"] or ()))
    return list(found)


@pytest.mark.parametrize("kill", [False, True])
def test_ray_makes_the_same_files(tmp_path, cluster, kill):
    src = tmp_path / "src"
    src.mkdir()
    for i in range(12):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (64, 80 + i % 2, 3), dtype=np.uint8)).save(src / f"{i}.png")
    (src / "empty.png").write_bytes(b"")
    pipe, options = Pipeline(Local(GaussianNoise(0.1), masks.Ellipse()), seed=2), {"per_image": 30, "shards": 6}
    datasets.generate(src, pipe, tmp_path / "one", **options)
    done, killed = [], threading.Event()

    def strike():
        while not killed.is_set():
            if found := workers():
                time.sleep(1.0)
                found[0].kill()
                return
            time.sleep(0.1)

    striker = threading.Thread(target=strike)
    if kill:
        striker.start()
    summary = datasets.generate(
        src, pipe, tmp_path / "many", engine="ray", workers=1, progress=lambda images, errors, total=None: done.append(images), **options
    )
    killed.set()
    if kill:
        striker.join()
    assert sum(done) == summary.images == 360 and summary.errors == 1
    assert tree(tmp_path / "many") == tree(tmp_path / "one")
