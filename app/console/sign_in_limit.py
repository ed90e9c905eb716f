"""How often a sign-in may be tried: per name for all processes, per address in this process's memory only.

The name is what a password is guessed for, so its limit holds however many processes serve. An address is never written
down; with several processes each allows its share.
"""

from collections import OrderedDict, deque

from app.ledger.database import Database
from app.ledger.sign_in_tries import SignInTries

_SECOND_US = 1_000_000
_WINDOW_US = 60 * _SECOND_US
_MAX_PER_NAME = 10
_MAX_PER_ADDRESS = 20
_MAX_REMEMBERED = 10_000


class SignInLimit:
    """Counts the tries of the last minute. A success forgets those of its name and address."""

    def __init__(self) -> None:
        self._addresses: OrderedDict[str, deque[int]] = OrderedDict()

    async def admit(self, database: Database, address: str, name: str | None, now_us: int) -> int:
        """Count one try. Returns 0 if it may go on, else the seconds to wait. `name` None: a one-time link."""
        if wait := self._wait(address, now_us):
            return -(-wait // _SECOND_US)
        # Counted before anything is awaited: a thousand tries at once must not all find the count of none.
        tries = self._addresses.setdefault(address, deque())
        tries.append(now_us)
        self._addresses.move_to_end(address)
        while len(self._addresses) > _MAX_REMEMBERED:
            self._addresses.popitem(last=False)
        wait = await _names(database).admit(name, now_us) if name is not None else 0
        if wait and tries:
            tries.pop()
        return -(-wait // _SECOND_US)

    async def forget(self, database: Database, address: str, name: str) -> None:
        """A right password came: nothing is held against this name and address."""
        self._addresses.pop(address, None)
        await _names(database).forget(name)

    def _wait(self, address: str, now_us: int) -> int:
        tries = self._addresses.get(address)
        if tries is None:
            return 0
        while tries and tries[0] <= now_us - _WINDOW_US:
            tries.popleft()
        return 0 if len(tries) < _MAX_PER_ADDRESS else max(1, tries[0] + _WINDOW_US - now_us)


def _names(database: Database) -> SignInTries:
    return SignInTries(database, _WINDOW_US, _MAX_PER_NAME)
