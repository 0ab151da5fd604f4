"""The command line: one module per command, and one place where errors become one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from . import calibrate, demo, doctor, gallery, generate, list, probe, show

BAD_INPUT = 2

app = typer.Typer(
    name="degrade",
    help="Image degradations under soft masks, a different one for every image of a batch.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        import degrade

        typer.echo(f"degrade {degrade.__version__}, stream {degrade.STREAM}")
        raise typer.Exit()


@app.callback()
def _options(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False) -> None:
    pass


app.command("demo")(demo.run)
app.command("show")(show.run)
app.command("list")(list.run)
app.command("gallery")(gallery.run)
app.command("calibrate")(calibrate.run)
app.command("doctor")(doctor.run)
app.command("probe")(probe.run)
app.command("generate")(generate.generate)
app.command("apply")(generate.apply)
app.command("rebuild")(generate.rebuild)
app.command("verify")(generate.verify)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: without the program's name; by default those of the process.

    Returns:
        The exit code: 0, 1 where a check failed, 2 for bad input, of which one sentence on stderr says what is wrong.
    """
    given = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without √ or × still gets its table
    try:
        code = typer.main.get_command(app).main(given, prog_name="degrade", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return _complain("stopped.", 130)
    except (ValueError, TypeError, RuntimeError, OSError, ImportError) as error:
        return _complain(_sentence(error))
    except Exception as error:
        # Usage errors belong to click or, from some version on, to typer itself; both can say what they are.
        if not hasattr(error, "format_message"):
            raise
        return _complain(error.format_message())


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _complain(message: str, code: int = BAD_INPUT) -> int:
    message = " ".join(message.split())
    print(f"degrade: {message}{'' if message.endswith(('.', '!', '?')) else '.'}", file=sys.stderr)
    return code
