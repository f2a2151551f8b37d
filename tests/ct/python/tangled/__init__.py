"""Modules that import each other, and what imports them again and again (tangle.py)."""

from . import plain
