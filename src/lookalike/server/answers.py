"""What the API answers, word for word: these are the schemas of `/api/openapi.json`."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Why a request was refused.

    error: what is wrong, on one line.
    """

    error: str


class Limits(BaseModel):
    """What a request may ask for.

    bytes: of an upload, its form included.
    pixels: of an uploaded image.
    k: neighbours at a time.
    groups: of duplicates, likewise.
    """

    bytes: int
    pixels: int
    k: int
    groups: int


class Facts(BaseModel):
    """What is known of the collection.

    name: of its folder.
    images: how many can be found.
    pictures: how many of their files are still where they were.
    dim: width of a vector.
    dtype: of the stored vectors.
    encoder: fingerprint of what made them, if it is known.
    uploads: whether an image can be sent: the collection keeps its encoder.
    duplicates: groups of duplicates to decide on; none where nobody named any.
    engine: exact, or the approximate engine that answers where there is no filter.
    recall: what was measured of that engine.
    limits: on requests.
    """

    name: str
    images: int
    pictures: int
    dim: int
    dtype: str
    encoder: str | None
    uploads: bool
    duplicates: int | None
    engine: str
    recall: float | None
    limits: Limits


class Image(BaseModel):
    """An image of the collection.

    number: its row; `/api/images/{number}` shows it.
    id: its name: its path inside its source.
    class: if it is known.
    picture: whether its file was where it was when the server started.
    """

    number: int
    id: str
    kind: str | None = Field(serialization_alias="class")
    picture: bool


class Neighbour(Image):
    """An image that is like the query.

    similarity: cosine of the two vectors, in [-1, 1].
    """

    similarity: float


class Found(BaseModel):
    """What a search found.

    query: the image of the collection that was asked about; none for an upload.
    neighbours: the nearest first; never the query itself.
    how: exact, or the engine that was used.
    seconds: what the comparison took.
    """

    query: Image | None
    neighbours: list[Neighbour]
    how: str
    seconds: float


class Map(BaseModel):
    """Images on the plane of the two directions in which their vectors differ most.

    images: those on the map: all, or a draw of them.
    x: of each, in [-1, 1].
    y: likewise.
    share: of the variance that the two directions hold, in [0, 1].
    """

    images: list[Image]
    x: list[float]
    y: list[float]
    share: float


class Value(BaseModel):
    """What a column may hold.

    value: as a filter names it.
    images: how many have it.
    """

    value: str
    images: int


class Filter(BaseModel):
    """A column that images can be filtered by, with `where=COLUMN=VALUE`.

    column: its name.
    values: all that it holds, the most frequent first.
    """

    column: str
    values: list[Value]


class Copy(Image):
    """An image of a group of duplicates.

    keep: whether the table says so.
    score: how well it agrees with the one that was suggested to keep, in [-1, 1].
    width: in pixels.
    height: likewise.
    bytes: of its file.
    reason: why it is kept, or what it is a copy of.
    """

    keep: bool
    score: float
    width: int
    height: int
    bytes: int
    reason: str


class Group(BaseModel):
    """Images that show the same photo.

    place: in the table, counted from 0.
    name: in the table.
    images: in the order of the table.
    """

    place: int
    name: str
    images: list[Copy]


class Duplicates(BaseModel):
    """Some of the groups of duplicates, those first whose images agree least.

    folder: name of the one that `lookalike duplicates` wrote.
    table: digest of its duplicates.csv.
    threshold: from what score on two images count as duplicates.
    groups: how many there are.
    images: in all of them.
    start: place of the first of those shown, in this order.
    shown: the groups.
    """

    folder: str
    table: str
    threshold: float
    groups: int
    images: int
    start: int
    shown: list[Group]
