"""A bar that commands show where there is a terminal to see it."""

from __future__ import annotations

from typing import Any


class Progress:
    """A bar with images per second, the time left and, where they are counted, the errors so far.

    Called with the numbers of images and of errors since the last call, and with how many images there will be as `total=`.

    Args:
        errors: whether errors are counted.
    """

    def __init__(self, errors: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns: list[Any] = ["images", BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn()]
        columns += [TextColumn("{task.fields[errors]} errors")] if errors else []
        self.bar: Any = Bar(*columns, console=Console(stderr=True), transient=True)
        self.errors = 0

    def __enter__(self) -> Progress:
        self.shown = self.bar.console.is_interactive  # rich writes an empty line to what is no terminal
        if self.shown:
            self.bar.start()
        self.task: Any = self.bar.add_task("images", total=None, rate="", errors=0)
        return self

    def __call__(self, images: int, errors: int = 0, total: int | None = None) -> None:
        self.errors += errors
        task = self.bar.tasks[0]
        speed = f"{task.speed:.0f}/s" if task.speed else ""
        self.bar.update(self.task, advance=images, rate=speed, errors=self.errors, **({} if total is None else {"total": total}))

    def __exit__(self, *raised: object) -> None:
        if self.shown:
            self.bar.stop()
