"""Which of the keys a caller sent goes upstream: the one whose shape fits the provider, or else the box's own."""

from app.catalog.catalog import Catalog
from app.detection.clauses import KeyShapes
from app.detection.detect import DEFAULT_PROVIDER, detect, detector_of
from app.domain import Detection, InboundRequest

AZURE = "azure"
DETECTION_FAILED = "detection_failed"


def detect_with_key(catalog: Catalog, request: InboundRequest) -> tuple[Detection, str | None]:
    """The provider of a request and the caller's key for it, None where the caller sent none."""
    keys = request.provider_keys
    key = keys[0] if keys else None
    if len(keys) > 1:
        without = _detect(catalog, request, None)
        if without.detected_by != "default":
            shapes = detector_of(catalog).shapes
            key = min(keys, key=lambda candidate: _strangeness(shapes, candidate, without.provider))
    return _detect(catalog, request, key), key


def provider_without_detection(catalog: Catalog, request: InboundRequest) -> tuple[Detection, str | None]:
    """Where detection itself failed: the provider that the header names, or the default, unless the key says no.

    Also then a key whose shape names a company goes to no other.
    """
    key = request.provider_keys[0] if request.provider_keys else None
    header = (request.provider_header or "").strip().lower()
    provider = header if header in catalog.providers else DEFAULT_PROVIDER
    shape = KeyShapes(catalog.providers).of(key)
    if shape is not None and shape.certain:
        provider = shape.provider
    return Detection(provider, "default", flags=(DETECTION_FAILED,), recognised=False), key


def _strangeness(shapes: KeyShapes, key: str, provider: str) -> int:
    """How little a key fits a provider: its own shape, none, one that others use too, another company's."""
    shape = shapes.of(key)
    if shape is None:
        return 1
    if shape.provider == provider:
        return 0
    return 3 if shape.certain else 2


def _detect(catalog: Catalog, request: InboundRequest, provider_key: str | None) -> Detection:
    return detect(
        catalog,
        model=request.model,
        path=request.path,
        provider_header=request.provider_header,
        # An Azure path beside a header that names nobody still says Azure.
        key_default=AZURE if request.deployment else request.key.default_provider,
        provider_key=provider_key,
    )
