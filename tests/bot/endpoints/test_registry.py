"""A worker has registered endpoints exactly as it has those of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from msgspec import structs

from bot.endpoints.book import changing
from bot.endpoints.master import VARIABLE
from bot.endpoints.registry import equipped, listed, place, worker_settings
from bot.endpoints.vault import Vault
from bot.model.errors import GatewrightError, UsageError
from bot.model.routing import resolve
from bot.settings import Price, ProviderTable, Registry, Server, Settings
from runners import handover
from runners.providers.registry import explanation
from runners.providers.upstreams import upstream
from runners.site import Site

URL = "https://gpu-1.example/v1"
KEY = "sk-the-real-key"
MASTER = Fernet.generate_key()
ENV = {VARIABLE: MASTER.decode()}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a machine on which `gpu` is registered."""
    made = Settings(
        server=Server(data_dir=str(tmp_path / "data")),
        endpoints={"here": ProviderTable(base_url="http://127.0.0.1:9/v1")},
    )
    with changing(place(made)) as entries:
        entries["gpu"] = Vault([MASTER]).seal("gpu", URL, KEY, 5)
    return made


def test_its_model_strings_lead_to_it_with_its_key(settings):
    full = equipped(settings, ENV)
    assert set(full.endpoints) == {"here", "gpu"}
    to = upstream(resolve("gpu:qwen3", full.endpoints), full)
    assert (to.base_url, to.api_key) == (URL, KEY)
    assert "`gpu`" in explanation("gpu:qwen3", full, check=True)
    with pytest.raises(UsageError):
        explanation("gpu:qwen3", settings)


def test_who_only_has_to_know_where_it_is_needs_no_key(settings):
    known = listed(settings, {})
    assert set(known.endpoints) == {"here", "gpu"}
    assert (known.endpoints["gpu"].base_url, known.endpoints["gpu"].api_key) == (URL, "")


def test_its_key_is_cut_out_of_what_is_stored(settings):
    assert KEY in Site(equipped(settings, ENV)).secrets


def test_a_work_horse_has_it_from_its_parent(settings, monkeypatch):
    monkeypatch.setenv(handover.VARIABLE, "")  # put back afterwards
    handover.offer(handover.Handover(equipped(settings, ENV)))
    assert handover.take().settings.endpoints["gpu"].api_key == KEY


def test_without_registered_endpoints_no_master_key_is_asked_for(tmp_path):
    alone = Settings(server=Server(data_dir=str(tmp_path)))
    assert equipped(alone, {}) is alone
    with changing(place(alone)) as entries:
        entries["gpu"] = Vault([MASTER]).seal("gpu", URL, KEY, 5)
    with changing(place(alone)) as entries:
        del entries["gpu"]
    assert equipped(alone, {}) is alone


def test_a_name_that_the_settings_have_as_well_is_refused(settings):
    both = Settings(server=settings.server, endpoints={"gpu": ProviderTable(base_url="https://other.example/v1")})
    with pytest.raises(UsageError, match="stands in the settings") as caught:
        equipped(both, ENV)
    assert caught.value.code == "GW-ENDPOINT-CLASH"


def test_what_the_settings_say_beside_the_address_holds_of_a_registered_endpoint(settings):
    price = Price(input=0.5, output=2.0)
    said = ProviderTable(prices={"qwen3": price}, residency="eu", context=65_536, enabled=False)
    both = Settings(server=settings.server, endpoints={"gpu": said})
    for full, key in ((equipped(both, ENV), KEY), (listed(both, {}), "")):
        assert full.endpoints["gpu"] == structs.replace(said, base_url=URL, api_key=key)


@pytest.mark.parametrize("field", ["base_url", "api_key", "auth_token"])
def test_an_address_and_a_key_stand_in_one_place_only(settings, field):
    both = Settings(server=settings.server, endpoints={"gpu": ProviderTable(**{field: "https://x.example"})})
    for read in (lambda: equipped(both, ENV), lambda: listed(both, {})):
        with pytest.raises(UsageError) as caught:
            read()
        assert caught.value.code == "GW-ENDPOINT-CLASH"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (URL, "https://evil.example/v1", "GW-ENDPOINT-MOVED"),
        ('"gpu"', '"fast"', "GW-ENDPOINT-MOVED"),
        ('"sealed": "g', '"sealed": "h', "GW-ENDPOINT-SEAL"),
        ("}\n", "", "GW-ENDPOINT-FILE"),
    ],
)
def test_a_file_that_was_edited_gives_no_settings_at_all(settings, old, new, code):
    path = place(settings)
    text = path.read_text()
    head, _, tail = text.rpartition(old)
    path.write_text(head + new + tail)
    with pytest.raises(GatewrightError) as caught:
        equipped(settings, ENV)
    assert caught.value.code == code


def test_a_worker_reads_settings_and_registry_in_one(settings, tmp_path):
    config = tmp_path / "gatewright.toml"
    config.write_text(f'[server]\ndata_dir = "{settings.server.data_dir}"\n')
    assert worker_settings(config, ENV).endpoints["gpu"].api_key == KEY


def test_the_file_lies_with_the_state_or_where_the_settings_say(tmp_path):
    assert place(Settings(), {"XDG_STATE_HOME": "/state"}) == Path("/state/gatewright/endpoints.json")
    assert place(Settings(registry=Registry(file=f"{tmp_path}/e.json"))) == tmp_path / "e.json"
