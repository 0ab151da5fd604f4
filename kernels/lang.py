"""The kernel language: Triton's `jit` and `tl`, or inert stand-ins where Triton has no wheel.

With the stand-ins every module that defines device functions still imports; only a launch needs the real thing.
"""

from __future__ import annotations

from typing import Any

try:
    import triton
    import triton.language as tl

    HAS_TRITON = True

    def jit(fn: Any = None, **options: Any) -> Any:
        """`triton.jit`, usable bare or with options."""
        if fn is None:
            return lambda f: jit(f, **options)
        # Triton's interpreter insists on seeing its language among a function's globals, used there or not.
        fn.__globals__.setdefault("tl", tl)
        return triton.jit(fn, **options)

except ImportError:  # macOS, Windows, or an install without it: the torch twins do everything

    class _Nothing:
        """Answers every attribute, call and subscript with itself, so that decorators and annotations evaluate."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return self

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return self

    def jit(fn: Any = None, **options: Any) -> Any:
        """Leave the function as it is: it is never launched."""
        return fn if fn is not None else (lambda f: f)

    tl = _Nothing()
    HAS_TRITON = False

__all__ = ["HAS_TRITON", "jit", "tl"]
