"""Search a collection in the browser: drop an image, see its neighbours, click to go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.cli.terminal import finish, say

if TYPE_CHECKING:
    from lookalike.inference import Encoder


def serve(
    collection: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    run: Path | None = None,
    duplicates: Path | None = None,
    verify: bool = True,
    trust_code: bool = False,
) -> None:
    """Serve.

    Args:
        collection: folder that `lookalike embed` wrote.
        host: address to listen at; with another than 127.0.0.1, all who know the token that is
            printed with it can search.
        port: likewise; 0 takes a free one.
        run: a run or model folder whose encoder to use; it must be the one of the collection.
        duplicates: what lookalike duplicates wrote about these images, to decide on in the browser.
        verify: compare the vectors with their digests first.
        trust_code: let code come from the file or package that the model names.
    """
    say(f"opening {collection}")
    from lookalike.curation.table import read_listed
    from lookalike.neighbors.index import Index
    from lookalike.server.serving import serve_index

    index = Index.open(collection, verify=verify)
    listed = None if duplicates is None else read_listed(duplicates)
    encoder = _encoder(collection, run, trust_code)
    if encoder is None:
        say("the collection keeps no encoder: images can be searched by id, and none be sent")

    def ready(address: str) -> None:
        print(address, flush=True)
        if host not in ("127.0.0.1", "localhost", "::1"):
            say(
                f"all who reach {host} and know the token can see and search these images; what "
                "they send and see crosses the network unencrypted",
                head="warning:",
                style="yellow",
            )
        if listed is not None:
            page = f"{address.partition('/?')[0]}/duplicates"
            say(f"{len(listed.groups):,} groups of duplicates at {page}")
        say(f"{len(index):,} images; open the address in a browser, end with Ctrl-C")

    serve_index(index, encoder=encoder, duplicates=listed, host=host, port=port, ready=ready)
    following = f"lookalike serve {collection}  (shows what was added since)"
    if duplicates is not None:
        following = f"lookalike apply {duplicates} --table SAVED.csv --move-to FOLDER"
    finish(following=following)


def _encoder(collection: Path, run: Path | None, trust_code: bool) -> Encoder | None:
    from lookalike.inference import load_encoder

    if run is None and not (collection / "model").is_dir():
        return None
    return load_encoder(run or collection, trust_code=trust_code)
