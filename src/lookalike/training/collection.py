"""A source of images made ready: surveyed, decoded if it fits, its unreadable files set apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.data.quarantine import Quarantine
from lookalike.data.resident import Resident, load_resident, load_squares
from lookalike.data.sources import ImageSet, open_source
from lookalike.training.batches import Batches, ResidentBatches, StreamedBatches, Viewing
from lookalike.training.defaults import Facts
from lookalike.views.picture import views_picture
from lookalike.views.plans import Plan
