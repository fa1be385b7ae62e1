"""How does a request get a connection to its model's verified server?

A connection is looked at when it is open and before a byte is sent: who listened when the model became ready may be
gone, and somebody else in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from claracore.http.gateway.contract import ModelSupervisor
    from claracore.http.gateway.pool import Pool
    from claracore.http.gateway.upstream import Destination, UpstreamConnection

CONNECT_TRIES = 3
"""Connections for one request, while a look in between says that all is well."""


class Unreachable(Exception):
    """No connection can be opened; says why."""


class TurnedAway(Unreachable):
    """Nobody, or nobody verified, is there to be sent to: the request may wait for the model's server once more."""


async def connect(
    pool: Pool, supervisor: ModelSupervisor, model_id: str, destination: Destination, timeout_seconds: float
) -> UpstreamConnection:
    """Open a connection to the model's server at a destination. Raises `Unreachable` and `TurnedAway`."""
    endpoint, reason = destination.endpoint, ""
    for _ in range(CONNECT_TRIES):
        try:
            upstream = await pool.connect(destination, timeout_seconds)
        except TimeoutError as error:
            reason = f"no connection to {endpoint} within {timeout_seconds:g} s"
            if await supervisor.confirm(model_id, endpoint):
                raise Unreachable(reason) from error
            break
        except (ConnectionError, FileNotFoundError) as error:  # the second one for a Unix socket
            reason = f"{endpoint}: {error.strerror or error}"
        except OSError as error:
            raise Unreachable(f"{endpoint}: {error.strerror or error}") from error
        else:
            if await _is_reached(supervisor, model_id, upstream):
                return upstream
            upstream.close()
            reason = f"{endpoint}: it is not its server that listens there"
        if not await supervisor.confirm(model_id, endpoint):
            break
    raise TurnedAway(reason)


async def _is_reached(supervisor: ModelSupervisor, model_id: str, upstream: UpstreamConnection) -> bool:
    endpoint = upstream.destination.endpoint
    try:
        return await supervisor.reaches(model_id, endpoint, upstream.socket)
    except OSError as error:  # too many files are open to look
        upstream.close()
        raise Unreachable(f"{endpoint}: {error.strerror}") from error
