"""What an error of the database means: is it the data, or something that waiting can mend? And what to say of it."""

from sqlalchemy import exc

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


def is_data_error(error: BaseException) -> bool:
    """True if the same write would fail again whatever the state of disk, locks and server: the data is refused."""
    original = getattr(error, "orig", None)
    state = getattr(original, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_DATA_STATES)
    if isinstance(error, exc.InterfaceError) and type(original).__module__.startswith("psycopg"):
        # SQLite's means a value that cannot be bound, psycopg's a connection that is closed.
        return False
    return isinstance(error, _DATA_ERRORS)


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line and without the values of the statement."""
    original = getattr(error, "orig", None)
    said = str(original).strip() if original is not None else ""
    return said.splitlines()[0] if said else type(error).__name__
