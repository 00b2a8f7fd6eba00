"""Where a benchmark runs, as its first line says it."""

import os
import platform
import re
from pathlib import Path


def processor() -> str:
    """Return the processor's name and how many cores there are."""
    cpuinfo = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores"
