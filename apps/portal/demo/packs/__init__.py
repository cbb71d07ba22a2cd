"""Domain packs: what a generated demo is made of. A further one is a subclass of `Pack` and a line here."""

from apps.portal.demo.packs.pack import Pack
from apps.portal.demo.packs.shop import ShopPack
from apps.portal.demo.packs.songs import SongsPack

PACKS: dict[str, Pack] = {pack.code: pack for pack in (ShopPack(), SongsPack())}
DEFAULT_PACK = ShopPack.code
"""The pack of `make demo`."""
