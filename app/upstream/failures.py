"""httpx's transport exceptions as Lectr's: which of them means what to the caller."""

import httpx

from app.errors import ProviderBadResponse, ProviderReset, ProviderTimeout, ProviderUnreachable, UpstreamError


def classify(error: Exception, provider_name: str) -> UpstreamError:
    """The UpstreamError for a fault of the transport; its text is a sentence for the caller, without addresses or keys."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ProviderUnreachable(f"{provider_name} could not be reached: {error}. Try again later.", sent=False)
    if isinstance(error, httpx.TimeoutException):
        return ProviderTimeout(f"{provider_name} did not answer in time.", sent=True)
    if isinstance(error, httpx.RemoteProtocolError):
        return ProviderBadResponse(f"{provider_name} did not answer in HTTP: {error}.", sent=True)
    if isinstance(error, httpx.NetworkError):
        return ProviderReset(f"The connection to {provider_name} broke.", sent=True)
    return ProviderBadResponse(f"{provider_name} gave no usable answer ({type(error).__name__}).", sent=True)
