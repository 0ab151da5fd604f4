"""Modes: which half of each op a run exercises.

    pytest                    torch, native and compile
    pytest --mode torch       the twins, the pipeline, the public face
    pytest --mode native      the device functions built for the CPU, and what builds them
    pytest --mode interpret   the bodies of `native` under Triton's interpreter, on small images: slow, but another's reading of them
    pytest --mode compile     ahead-of-time builds, nothing executed; with --heavy of each op for every target
    pytest --mode gpu -n 0    the bodies of `native` on the card, and what only a card can show; in one process

What a run leaves out is deselected; --heavy adds the long sweeps to any of them.

Triton decides when it is imported whether functions are interpreted, so the variable is set before anything imports it.
"""

import importlib.util
import os

import pytest

MODES = {
    "all": ("torch", "device", "native", "build"),
    "torch": ("torch",),
    "native": ("device", "native"),
    "interpret": ("device",),
    "compile": ("build",),
    "gpu": ("device",),
}


def pytest_addoption(parser):
    parser.addoption("--mode", choices=list(MODES), default="all")
    parser.addoption("--heavy", action="store_true", help="also run the long sweeps")


def pytest_configure(config):
    config.addinivalue_line("markers", "device: runs device functions (native, interpret and gpu modes)")
    config.addinivalue_line("markers", "native: is about building kernels for the CPU (native mode)")
    config.addinivalue_line("markers", "build: builds kernels ahead of time (compile mode)")
    config.addinivalue_line("markers", "heavy: a long sweep, run with --heavy")
    config.addinivalue_line("markers", "gpu: needs a card, whatever runs device functions elsewhere")
    if config.getoption("--mode") == "interpret":
        os.environ["TRITON_INTERPRET"] = "1"
    else:
        os.environ.pop("TRITON_INTERPRET", None)
    if config.getoption("--mode") != "gpu":
        os.environ.setdefault("DEGRADE_BACKEND", "torch")  # the kernels run where a test asks for them
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers share the cores; threads that wait for each other are far slower than one


def pytest_collection_modifyitems(config, items):
    mode = config.getoption("--mode")
    triton, llvm = (importlib.util.find_spec(name) is not None for name in ("triton", "llvmlite"))
    kept, others = [], []
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        kind = next((kind for kind in ("native", "device", "build") if kind in marks), "torch")
        if kind not in MODES[mode] or ("heavy" in marks and not config.getoption("--heavy")):
            others.append(item)  # not even reported: there are thousands
            continue
        kept.append(item)
        if "gpu" in marks and mode != "gpu":
            item.add_marker(pytest.mark.skip(reason="needs a GPU: pytest --mode gpu"))
        elif kind != "torch" and not triton:
            item.add_marker(pytest.mark.skip(reason="Triton has no wheel for this platform"))
        elif kind in ("device", "native") and mode in ("all", "native") and not llvm:
            item.add_marker(pytest.mark.skip(reason="llvmlite is not installed: pip install 'degrade[cpu]'"))
        elif mode == "gpu" and not _has_gpu():
            item.add_marker(pytest.mark.skip(reason="no GPU here"))
    config.hook.pytest_deselected(items=others)
    items[:] = kept


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
    """Where device functions run: the card, or the CPU, built for it or interpreted."""
    return "cuda" if request.config.getoption("--mode") == "gpu" else "cpu"
