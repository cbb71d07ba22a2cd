"""What a process remembers for seconds, forgotten before every test: each has a shop of its own."""

import pytest

from apps.accounts.api_keys import api_keys_forget
from apps.accounts.selectors import shop_settings_forget
from apps.events.inbox import inboxes_forget
from apps.events.kinds import kinds_forget
from apps.events.partitions import partitions_forget


@pytest.fixture(autouse=True)
def process_caches_fresh() -> None:
    """Forget keys, throttles, settings, event kinds and partitions."""
    api_keys_forget()
    shop_settings_forget()
    inboxes_forget()
    kinds_forget()
    partitions_forget()
