"""Lectr's exceptions.

LectrError
├── SettingsError        a setting that cannot be used; says which and what to write
├── RegistryError        a file of the registry that is wrong; names file and path in it
│   └── SameOverride     two overrides of the team that say the same
├── RequestRejected      the caller's request cannot be served; carries status, code and message
├── UpstreamError        the provider could not be reached or did not answer in HTTP
│   ├── ProviderUnreachable    no connection: 503 provider_unreachable
│   ├── ProviderTimeout        no answer in time: 504 provider_timeout
│   └── ProviderBadResponse    no HTTP came: 502 provider_bad_response
│       └── ProviderReset      the connection broke: 502 provider_bad_response
├── LedgerError          the ledger refused or could not be opened; says what to do
│   ├── LedgerAway       its database server does not answer, or not to us
│   └── NotFoundError    no such row, key, user or override
└── ConflictError        a name that is taken, an override that contradicts another
"""


class LectrError(Exception):
    """Base of all errors Lectr raises on purpose. `str(error)` is a sentence for the person who reads it."""


class SettingsError(LectrError):
    """A setting that cannot be used."""


class RegistryError(LectrError):
    """A registry file that cannot be used: `file`, the path inside it (`where`) and what is wrong."""

    def __init__(self, file: str, where: str, problem: str) -> None:
        super().__init__(f"{file}: {where}: {problem}" if where else f"{file}: {problem}")
        self.file = file
        self.where = where
        self.problem = problem


class SameOverride(RegistryError):
    """Two overrides of the team that say the same; `problem` names the earlier."""


class RequestRejected(LectrError):
    """The request is answered by Lectr itself with `status`, `code` and this message."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class UpstreamError(LectrError):
    """The provider did not answer in HTTP. `sent` is True if a byte of the request may have left."""

    status = 502
    code = "provider_bad_response"

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ProviderUnreachable(UpstreamError):
    """No connection to the provider could be made."""

    status = 503
    code = "provider_unreachable"


class ProviderTimeout(UpstreamError):
    """The provider took the connection and did not answer in time."""

    status = 504
    code = "provider_timeout"


class ProviderBadResponse(UpstreamError):
    """What came was no HTTP."""


class ProviderReset(ProviderBadResponse):
    """The connection broke."""


class LedgerError(LectrError):
    """The ledger could not be opened, or refused."""


class LedgerAway(LedgerError):
    """The database server cannot be reached. `refused` is True if it answered, and waiting alone will not help."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class NotFoundError(LedgerError):
    """No such row, key, user or override."""


class ConflictError(LedgerError):
    """A name that is taken, or an override that contradicts another."""
