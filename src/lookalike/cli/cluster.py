"""Group the images of a source by what an encoder finds alike, as a table and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lookalike.cli.terminal import Counter, finish, print_json, say, tell

LIBRARY = "judging.clusters:find_clusters"


def cluster(
    run: Path,
    source: str,
    *,
    out: Path | None = None,
    folders: bool = False,
    json: bool = False,
    trust_code: bool = False,
    **settings: Any,
) -> None:
    """Cluster.

    Args:
        run: folder of a run, or the model folder in it.
        source: images: a folder, archive, .npz, table or known name such as hands/test.
        out: folder to write to (default: clusters, in the run's folder, or here for a model's).
        folders: also copy each image into a folder of its cluster; nothing is moved.
        json: print one JSON object in place of the table.
        trust_code: let code come from the file or package that the model or run names.
        settings: how to group, as `clusters.find_clusters` takes it.
    """
    say(f"grouping {source} with {run}")
    from lookalike.inference import load_encoder
    from lookalike.judging.clusters import copy_folders, find_clusters, write_csv
    from lookalike.report.clusters import write_sheet

    encoder = load_encoder(run, trust_code=trust_code)
    with Counter("images") as count:
        found = find_clusters(encoder, source, progress=count, **settings)
    if out is None:  # a model folder is only read
        out = run / "clusters" if (run / "run.json").is_file() else Path("clusters")
    out.mkdir(parents=True, exist_ok=True)
    if folders:
        copy_folders(found, out / "folders")
    write_csv(found, out / "clusters.csv")
    write_sheet(found, out / "clusters.html")
    if json:
        print_json(found.to_json())
    else:
        tell(found.lines())
    written = [out / "clusters.csv", out / "clusters.html", *[out / "folders"][: int(folders)]]
    finish(*written, following=f"open {out / 'clusters.html'} in a browser")
