"""Keys come from files that only we can read, or from the environment, and never show."""

import json
import os

import pytest

from arbot.domain.errors import UserError
from arbot.domain.ids import VenueId
from arbot.ports import VenueConfig
from arbot.sim.wire.auth_coinbase import es256_key
from arbot.venues.credentials import load_credentials

KRAKEN = VenueConfig(venue=VenueId("kraken"), adapter="kraken", symbols=("BTC/USD",))
COINBASE = VenueConfig(venue=VenueId("coinbase"), adapter="coinbase", symbols=("BTC/USD",))
PEM = es256_key("main", "k").secret


def write(path, content, mode=0o600):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)
    return path


def test_key_file_is_read(tmp_path):
    """A JSON file with key and secret gives the pair, masked in every display."""
    found = load_credentials(KRAKEN, write(tmp_path / "k", {"key": "K", "secret": "c2VjcmV0"}), {})
    assert (found.key.reveal(), found.secret.reveal()) == ("K", "c2VjcmV0")
    assert "c2VjcmV0" not in f"{found} {found!r}"


def test_coinbase_download_is_read(tmp_path):
    """The file that Coinbase lets one download works as it is."""
    path = write(tmp_path / "cdp_api_key.json", {"name": "organizations/o/apiKeys/k", "privateKey": PEM})
    found = load_credentials(COINBASE, path, {})
    assert (found.key.reveal(), found.secret.reveal()) == ("organizations/o/apiKeys/k", PEM.strip())


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o700])
def test_file_that_others_can_read_is_refused(tmp_path, mode):
    """A mode wider than 0600 is refused with the command that mends it."""
    path = write(tmp_path / "k", {"key": "K", "secret": "c2VjcmV0"}, mode)
    with pytest.raises(UserError, match=f"chmod 600 {path}"):
        load_credentials(KRAKEN, path, {})


def test_file_of_another_user_is_refused(tmp_path):
    """A file that belongs to somebody else could be changed by them."""
    path = write(tmp_path / "k", {"key": "K", "secret": "c2VjcmV0"})
    with pytest.raises(UserError, match="belongs to user"):
        load_credentials(KRAKEN, path, {}, owner=os.getuid() + 1)


def test_file_of_the_service_manager_is_read(tmp_path):
    """What systemd hands over looks like 0440 where it uses an access list; only in its own folder that is good enough."""
    path = write(tmp_path / "k", {"key": "K", "secret": "c2VjcmV0"}, 0o440)
    tmp_path.chmod(0o550)
    handed = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load_credentials(KRAKEN, path, handed).key.reveal() == "K"
    with pytest.raises(UserError, match="mode 0440 lets others in"):
        load_credentials(KRAKEN, path, {"CREDENTIALS_DIRECTORY": f"{tmp_path}2"})


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o550), (0o460, 0o550), (0o440, 0o555)])
def test_credentials_folder_that_others_enter_is_no_excuse(tmp_path, file_mode, folder_mode):
    """A file that others may read or the group may write is refused wherever it lies."""
    path = write(tmp_path / "k", {"key": "K", "secret": "c2VjcmV0"}, file_mode)
    tmp_path.chmod(folder_mode)
    with pytest.raises(UserError, match="lets others in"):
        load_credentials(KRAKEN, path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize(
    ("config", "content", "told"),
    [
        (KRAKEN, "not json", "not a JSON object"),
        (KRAKEN, {"key": "K"}, "neither key and secret"),
        (KRAKEN, {"key": 1, "secret": "c2VjcmV0"}, "neither key and secret"),
        (KRAKEN, {"key": "", "secret": ""}, "empty"),
        (KRAKEN, {"key": "K", "secret": "not base64!"}, "not base64"),
        (COINBASE, {"key": "K", "secret": "c2VjcmV0"}, "not PEM"),
    ],
)
def test_unusable_file_is_explained(tmp_path, config, content, told):
    """What is wrong is said without showing any value of the file."""
    with pytest.raises(UserError, match=told) as caught:
        load_credentials(config, write(tmp_path / "k", content), {})
    assert "c2VjcmV0" not in str(caught.value)


def test_missing_file_is_explained(tmp_path):
    """A path that is not there is a mistake of the user, not a crash."""
    with pytest.raises(UserError, match="cannot be read"):
        load_credentials(KRAKEN, tmp_path / "none", {})


def test_environment_is_the_last_resort():
    """Without a file the two variables of the venue are used; a squeezed PEM gets its lines back."""
    environ = {"ARBOT_COINBASE_KEY": "organizations/o", "ARBOT_COINBASE_SECRET": PEM.replace("\n", "\\n")}
    assert load_credentials(COINBASE, None, environ).secret.reveal() == PEM


def test_missing_variables_are_all_named():
    """Both names are told at once."""
    with pytest.raises(UserError) as caught:
        load_credentials(KRAKEN, None, {})
    assert [mistake.where for mistake in caught.value.mistakes] == ["ARBOT_KRAKEN_KEY", "ARBOT_KRAKEN_SECRET"]
