"""Modes: which half of each op a run exercises.

    pytest                    torch, interpret and compile
    pytest --mode torch       the twins, the pipeline, the public face
    pytest --mode interpret   the device functions under Triton's interpreter, on small images
    pytest --mode compile     ahead-of-time builds for every target, nothing executed
    pytest --mode gpu -n 0    the bodies of `interpret` on the card, and what only a card can show; in one process

Triton decides when it is imported whether functions are interpreted, so the variable is set before anything imports it.
"""

import importlib.util
import os

import pytest

MODES = ("all", "torch", "interpret", "compile", "gpu")


def pytest_addoption(parser):
    parser.addoption("--mode", choices=MODES, default="all")
    parser.addoption("--heavy", action="store_true", help="also run the long sweeps")


def pytest_configure(config):
    config.addinivalue_line("markers", "device: runs device functions (interpret and gpu modes)")
    config.addinivalue_line("markers", "build: builds kernels ahead of time (compile mode)")
    config.addinivalue_line("markers", "heavy: a long sweep, run with --heavy")
    config.addinivalue_line("markers", "gpu: needs a card, whatever runs device functions elsewhere")
    if config.getoption("--mode") in ("all", "interpret"):
        os.environ["TRITON_INTERPRET"] = "1"
    else:
        os.environ.pop("TRITON_INTERPRET", None)
    os.environ.setdefault("DEGRADE_BACKEND", "torch")  # the kernels run where a test asks for them
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers share the cores; threads that wait for each other are far slower than one


def pytest_collection_modifyitems(config, items):
    mode = config.getoption("--mode")
    triton = importlib.util.find_spec("triton") is not None
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if "gpu" in marks and mode != "gpu":
            item.add_marker(pytest.mark.skip(reason="needs a GPU: pytest --mode gpu"))
        kind = "device" if "device" in marks else "build" if "build" in marks else "torch"
        wanted = {"all": ("device", "build", "torch"), "torch": ("torch",), "interpret": ("device",), "compile": ("build",), "gpu": ("device",)}
        if kind not in wanted[mode]:
            item.add_marker(pytest.mark.skip(reason=f"not part of --mode {mode}"))
        elif kind != "torch" and not triton:
            item.add_marker(pytest.mark.skip(reason="Triton has no wheel for this platform"))
        elif mode == "gpu" and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="no GPU here"))
        if "heavy" in marks and not config.getoption("--heavy"):
            item.add_marker(pytest.mark.skip(reason="a long sweep; run with --heavy"))


def pytest_terminal_summary(terminalreporter):
    """What tests recorded for people to read, such as the registers of each kernel."""
    lines = [v for reports in terminalreporter.stats.values() for r in reports for k, v in getattr(r, "user_properties", ()) if k == "summary"]
    if lines:
        terminalreporter.section("kernels")
        terminalreporter.write_line("\n".join(sorted(set(lines))))


def _has_gpu():
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def device(request):
    """Where device functions run: the card, or the CPU under the interpreter."""
    return "cuda" if request.config.getoption("--mode") == "gpu" else "cpu"
