"""Which end point is asked next, and when, so that a pair is not hurried. No I/O."""

from __future__ import annotations

from typing import Callable

# How long an end point that was left is not asked again, in heartbeats of the pair.
AWAY_HEARTBEATS = 2


class EndpointOrder:
    """``pause(failures)`` is a pause in seconds."""

    def __init__(self, count: int, pause: Callable[[int], float]) -> None:
        self._count = count
        self._pause = pause
        self.heartbeat: float = 0.0  # of the pair, in seconds; 0: unknown, or no pair
        self._left_first_at = float("-inf")
        # Until when asking each is of no use, if there is another.
        self._useless_until = [float("-inf")] * count
        self._moves = 0  # end points in a row that refused or had no connection

    def after(self, endpoint: int) -> int:
        return (endpoint + 1) % self._count

    def answered(self) -> None:
        self._moves = 0

    def refused(self, endpoint: int, now: float) -> bool:
        """Whether to ask the next at once: not if that is of no use, too."""
        self._useless_until[endpoint] = now + self._away
        following = self.after(endpoint)
        return self._count > 1 and max(self._useless_until[following], self._not_before(following)) <= now

    def leave(self, endpoint: int, why: str, now: float) -> float:
        """When the next may be dialled. ``why``: *silent*, *quiet*, *refused*, *unreachable*."""
        if endpoint == 0:
            self._left_first_at = now
        if why == "unreachable":
            # Its peer finds it dead within two heartbeats, and takes over when it is asked after that.
            self._useless_until[endpoint] = now + 2 * self._away
        pause = 0.0
        if why not in ("silent", "quiet"):  # the silence was pause enough
            self._moves += 1
            rounds = self._moves - self._count + 1
            pause = self._pause(rounds) if rounds > 0 else 0.0
        return max(now + pause, self._not_before(self.after(endpoint)))

    @property
    def _away(self) -> float:
        return self.heartbeat * AWAY_HEARTBEATS

    def _not_before(self, endpoint: int) -> float:
        return self._left_first_at + self._away if endpoint == 0 and self._count > 1 else float("-inf")
