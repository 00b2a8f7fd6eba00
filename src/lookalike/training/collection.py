"""A source of images made ready: surveyed, decoded if it fits, its unreadable files set apart."""

from __future__ import annotations
