"""How often a sign-in may be tried: per address and per name, in this process's memory only."""

from collections import OrderedDict, deque

_WINDOW_US = 60_000_000
_MAX_PER_NAME = 10
_MAX_PER_ADDRESS = 20
_MAX_REMEMBERED = 10_000


class SignInLimit:
    """Counts the failed tries of the last minute. A success forgets those of its name and address."""

    def __init__(self) -> None:
        self._tries: OrderedDict[tuple[str, str], deque[int]] = OrderedDict()

    def admit(self, address: str, name: str, now: int) -> int:
        """Count one try at `now` (microseconds). Returns 0 if it may go on, else the seconds to wait."""
        keys = ((("address", address), _MAX_PER_ADDRESS), (("name", name.casefold()), _MAX_PER_NAME))
        waits = [self._wait(key, most, now) for key, most in keys]
        if wait := max(waits):
            return wait
        for key, _ in keys:
            self._tries.setdefault(key, deque()).append(now)
            self._tries.move_to_end(key)
        while len(self._tries) > _MAX_REMEMBERED:
            self._tries.popitem(last=False)
        return 0

    def forget(self, address: str, name: str) -> None:
        """A right password came: nothing is held against this name and address."""
        self._tries.pop(("address", address), None)
        self._tries.pop(("name", name.casefold()), None)

    def _wait(self, key: tuple[str, str], most: int, now: int) -> int:
        tries = self._tries.get(key)
        if tries is None:
            return 0
        while tries and tries[0] <= now - _WINDOW_US:
            tries.popleft()
        if len(tries) < most:
            return 0
        return max(1, -(-(tries[0] + _WINDOW_US - now) // 1_000_000))
