"""Which of the keys a caller sent goes upstream: the one whose shape fits the provider, or else the box's own."""

from app.catalog.catalog import Catalog
from app.detection.detect import detect, detector_of
from app.domain import Detection, InboundRequest


def detect_with_key(catalog: Catalog, request: InboundRequest) -> tuple[Detection, str | None]:
    """The provider of a request and the caller's key for it, None where the caller sent none."""
    keys = request.provider_keys
    if len(keys) > 1:
        without = _detect(catalog, request, None)
        for key in keys:
            shape = detector_of(catalog).shapes.of(key)
            if shape is not None and shape.provider == without.provider and without.detected_by != "default":
                return _detect(catalog, request, key), key
    first = keys[0] if keys else None
    return _detect(catalog, request, first), first


def _detect(catalog: Catalog, request: InboundRequest, provider_key: str | None) -> Detection:
    return detect(
        catalog,
        model=request.model,
        path=request.path,
        provider_header=request.provider_header,
        key_default=request.key.default_provider,
        provider_key=provider_key,
    )
