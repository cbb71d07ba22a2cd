"""The shop: home goods and fashion, with prices, stock, returns, reviews and pictures."""

from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.portal.demo.catalogue import IMAGE_FOLDER, catalogue_build
from apps.portal.demo.leaves import vocabulary
from apps.portal.demo.packs.pack import Content, KindSpec, Pack, Size
from apps.portal.demo.pictures import pictures_write
from apps.portal.demo.truth import truth_save
from apps.portal.demo.wording import Look
from apps.portal.demo.world import DAYS, PRODUCTS, SEED, SHOPPERS, streams, world_build


class ShopPack(Pack):
    """Juniper & Finch."""

    code = "shop"
    shop_name = "Juniper & Finch"
    size = Size(products=PRODUCTS, shoppers=SHOPPERS, days=DAYS, seed=SEED)
    languages = ("en", "zh-hans")
    kinds = (
        KindSpec("coupon", "Coupon", "other", 0.0),
        KindSpec("sponsored_impression", "Sponsored impression", "other", 0.0),
    )
    simulated = True

    def generate(self, *, size: Size, end: datetime) -> Content:
        """The whole world; its truths stay in `world`."""
        world = world_build(
            end=end,
            seed=size.seed,
            products=size.products,
            shoppers=size.shoppers,
            days=size.days,
            image_base=settings.MEDIA_URL,
        )
        names = {path: {"zh-hans": name} for path, name in vocabulary().categories.items()}
        return Content(world.products, world.shoppers, world.events, world.reviews.frame, names, world=world)

    def truths_save(self, content: Content) -> int:
        """Minds, tastes, reviews and trials."""
        return truth_save(world=content.world)

    def pictures_draw(self, content: Content) -> int:
        """One drawing for each product."""
        return _draw(content.products["sku"].tolist(), content.world.catalogue.looks)

    def pictures_mend(self, head: dict[str, Any]) -> int:
        """Draw all again, as they were, where files are missing."""
        folder = picture_folder()
        if folder.is_dir() and sum(1 for _ in folder.glob("*.svg")) >= head["products"]:
            return 0
        catalogue = catalogue_build(
            count=head["products"],
            start=datetime.fromisoformat(head["start"]),
            days=head["days"],
            rng=streams(head["seed"])[0],
        )
        return _draw(catalogue.products["sku"].tolist(), catalogue.looks)


def _draw(skus: list[str], looks: list[Look]) -> int:
    return pictures_write(skus=skus, looks=looks, folder=picture_folder())


def picture_folder() -> Path:
    """Where the pictures lie, served below MEDIA_URL."""
    return Path(settings.MEDIA_ROOT) / IMAGE_FOLDER
