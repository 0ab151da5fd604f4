"""The version of everything random and everything stored."""

STREAM = 2
"""Equal STREAM means equal drawn programs and equal bits of integer ops across releases; a change is a CHANGELOG heading."""

RELEASES = {1: "0.1", 2: "0.2"}
"""Which release to install for a file of another STREAM."""


def check_stream(found: object, what: str) -> None:
    """Refuse a file of another STREAM, naming the release that reads it."""
    if found != STREAM:
        wanted = RELEASES.get(found) if isinstance(found, int) else None
        fix = f"install degrade {wanted}" if wanted else "install the release that wrote it"
        raise ValueError(f"stream={found!r} of this {what} is not the one of this release ({STREAM}); {fix}.")
