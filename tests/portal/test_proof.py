"""A site is known by the mark of its data folder, whatever else answers on a port."""

from apps.portal.proof import site_alone
from tests.processes import RealProcess, free_port


def test_site_knows_itself_by_its_mark(live_site: RealProcess) -> None:
    assert site_alone(live_site.url)
    assert not site_alone(f"http://127.0.0.1:{free_port()}")
