"""List the papers, and what each claims that can be seen on a small machine."""

from __future__ import annotations

from lookalike import registry
from lookalike.cli.terminal import entry, paint, print_json, say
from lookalike.papers.claims import Claim


def papers(*, json: bool = False) -> None:
    """List.

    Args:
        json: print one JSON object in place of the list.
    """
    locations = {name: registry.locate("papers", name) for name in registry.names("papers")}
    titles = {name: registry.title(location) for name, location in locations.items()}
    claims: dict[str, tuple[Claim, ...]] = {
        name: registry.load(location).CLAIMS for name, location in locations.items()
    }
    if json:
        print_json({"papers": [_describe(name, titles[name], claims[name]) for name in locations]})
        return
    for name in locations:
        print(f"{paint(name, 'bold', 'cyan')}  {titles[name]}")
        for claim in claims[name]:
            print("\n".join(entry(claim.name, f"{claim.says} ({claim.where})", column=18)))
    say("next   lookalike reproduce PAPER --claim NAME")


def _describe(name: str, title: str, claims: tuple[Claim, ...]) -> dict[str, object]:
    told = [{"name": each.name, "says": each.says, "where": each.where} for each in claims]
    return {"name": name, "title": title, "claims": told}
