"""LightFM, as kept alive by lightfm-next: WARP and BPR losses."""

from typing import Any

import exchange
from lightfm import LightFM


def warp(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """Kula (2015) with the loss of Weston et al. (2011), on binary data."""
    given = dict(setting)
    epochs = given.pop("epochs", 30)
    model = LightFM(random_state=0, **{"loss": "warp", **given})
    model.fit(train.matrix().tocoo(), epochs=epochs, num_threads=1)
    user_bias, user = model.get_user_representations()
    item_bias, item = model.get_item_representations()
    return train.top(lambda rows: user[rows] @ item.T + item_bias)


if __name__ == "__main__":
    exchange.main({"warp": warp})
