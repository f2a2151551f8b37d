"""What py:memory_stats and its like ask of an interpreter."""

from __future__ import annotations

import gc
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def stats() -> dict[str, Any]:
    """The garbage collector's numbers, and those of tracemalloc while it traces."""
    numbers: dict[str, Any] = {
        "gc_stats": gc.get_stats(),
        "gc_count": gc.get_count(),
        "gc_threshold": gc.get_threshold(),
    }
    tracing = sys.modules.get("_tracemalloc")  # without it nothing traces
    if tracing is not None and tracing.is_tracing():
        numbers["traced_memory_current"], numbers["traced_memory_peak"] = tracing.get_traced_memory()
    return numbers


def collect(generation: int) -> int:
    return gc.collect(generation)


def start_tracing(frames: int) -> None:
    try:
        import tracemalloc
    except ImportError:
        # From None: that it cannot be imported here is a detail.
        raise RuntimeError("tracemalloc cannot be used in a context of mode owngil") from None
    tracemalloc.start(frames)


def stop_tracing() -> None:
    tracing = sys.modules.get("_tracemalloc")
    if tracing is not None:
        tracing.stop()
