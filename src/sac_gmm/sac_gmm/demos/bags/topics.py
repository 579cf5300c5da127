"""Names of topics in bags: with a leading slash or without, in a namespace or not."""

from __future__ import annotations

from collections.abc import Iterable


def absolute(name: str) -> str:
    """A topic's name with its leading slash, which bags written through an API may lack."""
    return "/" + name.lstrip("/")


def matching(topics: Iterable[str], wanted: str) -> list[str]:
    """The topics that a name may stand for, by name: one only unless several namespaces hold it.

    Args:
        topics: Names as the bag spells them.
        wanted: With a leading slash or without. The topic that is spelled just so comes before the same one spelled
            otherwise, and this before one of that name in a namespace (`/lbr/state/pose` for `/state/pose`).
    """
    there = sorted(set(topics))
    if wanted in there:
        return [wanted]
    wanted = absolute(wanted)
    same = [topic for topic in there if absolute(topic) == wanted]
    return same[:1] or [topic for topic in there if absolute(topic).endswith(wanted)]
