"""Who stands behind what: the graph by which one failure reaches many balances. A value, read from config/registry.toml.

Nodes are named in the file's own words; an empty text means that the file does not say, and what is not said shares
the node "unknown" with all else that is not: ignorance is not diversification.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import Network
from arbot.domain.units import ONE

UNKNOWN_NODE = "unknown"


class NodeKind(StrEnum):
    """What can fail as one."""

    VENUE = "venue"
    ISSUER = "issuer"
    BANK = "bank"
    CUSTODIAN = "custodian"
    CHAIN = "chain"
    CLOUD = "cloud"


class VenueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue stands on. `loss_share` is lost of every balance when it fails (haircuts seen: 0.36 to 1)."""

    entity: str = ""  # venues of one entity fail together
    banks: tuple[str, ...] = ()
    custodian: str = ""
    cloud: str = ""
    loss_share: Decimal = ONE
    merged: Mapping[Asset, tuple[Asset, ...]] = {}  # quote -> coins that its books take and pay as if they were it


class AssetEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a coin stands on. `issuer` is empty for a coin that nobody redeems; `peg` is what a stablecoin should be worth."""

    issuer: str = ""
    peg: str = ""
    is_fiat: bool = False  # money at the venues' banks; all else is with their custodians
    loss_share: Decimal = ONE  # of the coin's worth, in the worst case assumed of its issuer


class NetworkEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A chain or rail: what venues call it, and what is assumed of its delays before we have transfers of our own.

    `chain` is the node that halts; networks of one chain halt together. Half of the transfers are credited within
    `minutes_p50`, all but one in a hundred within `minutes_p99`: a heavy tail, never a Gaussian.
    """

    chain: str = ""
    names: Mapping[str, str] = {}  # venue -> its own name of the network
    needs_tag: bool = False
    minutes_p50: Decimal = Decimal(30)
    minutes_p99: Decimal = Decimal(24 * 60)


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `share_max` caps a node by (kind, node) where it differs from the kind's own cap."""

    venues: Mapping[VenueId, VenueEntry] = {}
    assets: Mapping[Asset, AssetEntry] = {}
    networks: Mapping[Network, NetworkEntry] = {}
    share_max: Mapping[tuple[NodeKind, str], Decimal] = {}

    def venue(self, venue: VenueId) -> VenueEntry:
        """Return what is said of a venue, all unknown when nothing is."""
        return self.venues.get(venue, _NO_VENUE)

    def asset(self, asset: Asset) -> AssetEntry:
        """Return what is said of an asset."""
        return self.assets.get(asset, _NO_ASSET)

    def network(self, network: Network) -> NetworkEntry:
        """Return what is said of a network."""
        return self.networks.get(network, _NO_NETWORK)


_NO_VENUE = VenueEntry()
_NO_ASSET = AssetEntry()
_NO_NETWORK = NetworkEntry()
