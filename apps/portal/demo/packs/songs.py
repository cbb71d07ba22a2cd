"""Songs: a music service. Nothing is sold: no price, stock or purchase; people play, finish, skip, like."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.portal.demo.packs.pack import Content, KindSpec, Pack, PlacementSpec, Size
from apps.portal.demo.truth import head_save

GENRES = ("Folk", "Jazz", "House", "Metal", "Soul", "Ambient", "Punk", "Samba")
FIRST = (
    "Amber", "Broken", "Cold", "Distant", "Electric", "Falling", "Golden", "Hollow", "Inner", "Jade", "Kind",
    "Little", "Midnight", "Northern", "Open", "Paper", "Quiet", "Restless", "Silver", "Tender",
)  # fmt: skip
SECOND = (
    "Rivers", "Letters", "Lanterns", "Windows", "Engines", "Gardens", "Shadows", "Stations", "Harbours",
    "Mirrors", "Winters", "Signals", "Meadows", "Dancers", "Thunder", "Ashes",
)  # fmt: skip
BANDS = ("The", "Saint", "Young", "Les", "Old", "Miss", "Doctor", "Royal")
SONGS_PER_ARTIST, SONGS_PER_ALBUM = 6, 3
SESSIONS_EACH, SONGS_A_SESSION = (6, 14), (4, 11)
SECONDS_BETWEEN = 200.0
# How often a song of an own genre is finished and liked, and one of another; else it is skipped or runs on.
FINISHED, LIKED, SKIPPED = (0.8, 0.25), (0.12, 0.01), (0.05, 0.6)
OWN_GENRE, OWN_ARTIST = 0.85, 0.5
SOURCE = "Music > "
Index = NDArray[np.int64]


class SongsPack(Pack):
    """Tidewater Radio."""

    code = "songs"
    shop_name = "Tidewater Radio"
    size = Size(products=480, shoppers=600, days=60, seed=7)
    kinds = (
        KindSpec("play", "Play", "view", 1.0),
        KindSpec("finish", "Finished", "other", 3.0),
        KindSpec("like", "Like", "like", 4.0),
        KindSpec("skip", "Skip", "other", -1.0),
    )
    retired = ("view", "add_to_cart", "purchase", "return", "rating", "favourite", "survey_score")
    placements = (
        PlacementSpec("home", "For you", repeats=True),
        PlacementSpec("product", "Song page"),
        PlacementSpec("trending", "Rising"),
        PlacementSpec("new", "New releases"),
    )
    words = {
        "en": {
            "product": "song", "products": "songs", "shopper": "listener", "shoppers": "listeners",
            "a brand": "an artist", "brand": "artist", "brands": "artists", "category": "genre",
            "categories": "genres", "storefront": "app", "shop": "service", "catalogue": "library",
            "buy again": "play again", "bought together": "heard together", "bought": "played",
            "purchase": "play", "purchases": "plays", "cart": "queue",
        },
        "zh-hans": {
            "商品": "歌曲", "顾客": "听众", "购物者": "听众", "品牌": "艺人", "类目": "流派", "商店": "服务",
            "购物车": "队列", "购买": "播放",
        },
    }  # fmt: skip

    def generate(self, *, size: Size, end: datetime) -> Content:
        """Songs of artists with one genre each; listeners with two genres and a few favourites."""
        rng = np.random.default_rng(size.seed)
        songs = _songs(rng, size, end)
        listeners = pd.DataFrame({"external_id": [f"l-{n:05}" for n in range(size.shoppers)]})
        events = _events(rng, songs, size, end)
        return Content(_feed(songs, end, size), listeners, events, world=size)

    def truths_save(self, content: Content) -> int:
        """The head alone: nobody plays these listeners after the history."""
        size: Size = content.world
        last = content.events["occurred_at"].max()
        return head_save(
            {
                "pack": self.code,
                "seed": size.seed,
                "products": len(content.products),
                "shoppers": len(content.shoppers),
                "days": size.days,
                "end": last.isoformat(),
            }
        )


@dataclass(frozen=True)
class Songs:
    """Songs by index. genre, artist, seconds: int64 [n]; appeal, born (days before the end): float64 [n]."""

    titles: list[str]
    artists: list[str]
    albums: list[str]
    genre: Index
    artist: Index
    appeal: NDArray[np.float64]
    born: NDArray[np.float64]
    seconds: Index


def _songs(rng: np.random.Generator, size: Size, end: datetime) -> Songs:
    n = size.products
    artist = np.arange(n) // SONGS_PER_ARTIST
    n_artists = int(artist.max()) + 1
    names = [
        f"{BANDS[a % len(BANDS)]} {SECOND[(a * 7 + a // 16) % len(SECOND)]} {a:02}" for a in range(n_artists)
    ]
    pairs = rng.permutation(len(FIRST) * len(SECOND))
    titles = [f"{FIRST[p % len(FIRST)]} {SECOND[p // len(FIRST)]}" for p in np.resize(pairs, n)]
    albums = [
        f"{FIRST[(k * 3) % len(FIRST)]} Tape {k:03}" for k in (np.arange(n) // SONGS_PER_ALBUM).tolist()
    ]
    return Songs(
        titles=titles,
        artists=[names[a] for a in artist.tolist()],
        albums=albums,
        genre=(artist % len(GENRES)).astype(np.int64),
        artist=artist.astype(np.int64),
        appeal=rng.lognormal(0.0, 0.9, n),
        # a tenth came out within the history
        born=np.where(rng.random(n) < 0.1, rng.uniform(1, size.days, n), size.days + 400.0),
        seconds=rng.integers(95, 420, n),
    )


def _feed(songs: Songs, end: datetime, size: Size) -> pd.DataFrame:
    """The catalogue as a feed: no price, no stock."""
    n = len(songs.titles)
    attributes: list[dict[str, Any]] = [
        {
            "artist": songs.artists[i],
            "album": songs.albums[i],
            "genre": GENRES[int(songs.genre[i])],
            "seconds": int(songs.seconds[i]),
        }
        for i in range(n)
    ]
    return pd.DataFrame(
        {
            "sku": sku_of(np.arange(n)),
            "title": songs.titles,
            "description": [f"{a['artist']}, from {a['album']}" for a in attributes],
            "category": [SOURCE + GENRES[genre] for genre in songs.genre.tolist()],
            "brand": songs.artists,
            "attributes": attributes,
            "created_at": [end - timedelta(days=float(days)) for days in songs.born],
        }
    )


def sku_of(songs: Index) -> list[str]:
    """The ids of songs by index."""
    return [f"song-{number:04}" for number in songs.tolist()]


def _events(rng: np.random.Generator, songs: Songs, size: Size, end: datetime) -> pd.DataFrame:
    """Sessions of plays; each play is finished, skipped or neither, and now and then liked."""
    rows: list[tuple[str, datetime, int, int, int]] = []
    for listener in range(size.shoppers):
        own = rng.choice(len(GENRES), size=2, replace=False)
        mine = np.isin(songs.genre, own)
        # own genres first, and of those a handful of favourite artists
        weight = songs.appeal * np.where(mine, OWN_GENRE / mine.mean(), (1 - OWN_GENRE) / (1 - mine.mean()))
        known = np.unique(songs.artist[mine])
        favourites = rng.choice(known, size=min(3, len(known)), replace=False)
        weight = weight * np.where(np.isin(songs.artist, favourites), 1 / (1 - OWN_ARTIST) ** 2, 1.0)
        for visit in range(int(rng.integers(*SESSIONS_EACH))):
            before = float(rng.uniform(0.02, size.days))
            out = weight * (songs.born > before)
            count = int(rng.integers(*SONGS_A_SESSION))
            played = rng.choice(len(out), size=count, replace=False, p=out / out.sum())
            for place, song in enumerate(played.tolist()):
                at = end - timedelta(days=before) + timedelta(seconds=SECONDS_BETWEEN * place)
                like = 0 if mine[song] else 1
                rows.append(("play", at, listener, visit, song))
                chance = rng.random()
                if chance < FINISHED[like]:
                    rows.append(("finish", at + timedelta(seconds=180), listener, visit, song))
                elif chance > 1 - SKIPPED[like]:
                    rows.append(("skip", at + timedelta(seconds=9), listener, visit, song))
                if rng.random() < LIKED[like]:
                    rows.append(("like", at + timedelta(seconds=60), listener, visit, song))
    kinds, moments, people, visits, found = zip(*rows, strict=True)
    frame = pd.DataFrame(
        {
            "client_event_id": [f"songs{size.seed}-{end:%y%m%d}-{number}" for number in range(len(rows))],
            "kind": kinds,
            "occurred_at": moments,
            "shopper": [f"l-{person:05}" for person in people],
            "sku": sku_of(np.asarray(found)),
            "session": [f"{person}-{visit}" for person, visit in zip(people, visits, strict=True)],
            "channel": "app",
        }
    )
    return frame[frame["occurred_at"] < end].sort_values("occurred_at", kind="stable", ignore_index=True)
