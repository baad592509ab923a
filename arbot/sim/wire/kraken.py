"""The pretend Kraken as routes of an aiohttp application: REST under /0, websockets under /v2 and /auth/v2."""

from __future__ import annotations

import random

from aiohttp import web

from arbot.sim.wire.auth_kraken import Doorman
from arbot.sim.wire.desk import Desk
from arbot.sim.wire.kraken_limits import Limits
from arbot.sim.wire.kraken_orders import OrderDesk
from arbot.sim.wire.kraken_rest import KrakenRest
from arbot.sim.wire.kraken_ws import KrakenSockets

WS_PUBLIC_PATH, WS_PRIVATE_PATH = "/v2", "/auth/v2"


def mount(
    app: web.Application,
    desk: Desk,
    rng: random.Random,
    *,
    rate_tier: str = "intermediate",
    rows_grouped_share: float = 0.0,
) -> None:
    """Add one pretend Kraken to an application; keys are those of the venue's accounts.

    `rate_tier` is a row of `kraken_limits.TIERS`. `rows_grouped_share` is how often all execution rows of one moment
    leave in one frame, as the venue may send them (ccxt.pro dies of it; arbot's own codec must not).
    """
    limits = Limits(rate_tier)
    doorman = Doorman(desk.venue, rng)
    orders = OrderDesk(desk, limits)
    KrakenRest(desk, doorman, limits, orders).mount(app)
    KrakenSockets(desk, doorman, orders, rng, rows_grouped_share=rows_grouped_share).mount(app)
