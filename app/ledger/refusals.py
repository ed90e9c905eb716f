"""What an error of the database means: is it the data, or something that waiting can mend? And what to say of it."""

from typing import Any

from sqlalchemy import exc

from app.errors import LedgerAway

_DATA_ERRORS = (
    exc.IntegrityError,
    exc.DataError,
    exc.InterfaceError,
    exc.ProgrammingError,
    OverflowError,
    ValueError,
    TypeError,
)
_DATA_STATES = ("22", "23")
"""Classes of PostgreSQL's error codes that blame the values. Others may pass: a table that is gone, a right that is
missing, a server that is read-only."""
_PASSING_STATES = ("08", "40", "53", "55", "57")
"""Connection lost, transaction rolled back, out of memory or connections, lock not free, server going down."""


def is_data_error(error: BaseException) -> bool:
    """True if the same write would fail again whatever the state of disk, locks and server: the data is refused."""
    original: Any = getattr(error, "orig", None)
    if not hasattr(original, "sqlstate"):
        return isinstance(error, _DATA_ERRORS)
    if original.sqlstate is not None:
        return str(original.sqlstate).startswith(_DATA_STATES)
    # asyncpg itself has refused: a value that does not fit its column, or because the connection is closed.
    return isinstance(original.__cause__, ValueError | TypeError | OverflowError)


def may_pass(error: BaseException) -> bool:
    """True if trying again in a moment may succeed."""
    if isinstance(error, exc.OperationalError | LedgerAway):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or (state is not None and state.startswith(_PASSING_STATES))


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line and without the values of the statement."""
    original: Any = getattr(error, "orig", None)
    if hasattr(original, "sqlstate"):
        original = original.__cause__ or original
    said = str(error if original is None and not isinstance(error, exc.SQLAlchemyError) else original or "").strip()
    return said.splitlines()[0] if said else type(error).__name__
