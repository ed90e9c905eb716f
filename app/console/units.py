"""How the units of a price list read: `web_searches_kcount` is "Web searches", "per 1,000"."""

from app.catalog.schema import UNITS

_NAMES = {
    "input_mtok": "Input",
    "output_mtok": "Output",
    "cache_read_mtok": "Cached input",
    "cache_write_mtok": "Cache write",
    "cache_write_5m_mtok": "Cache write, 5 minutes",
    "cache_write_1h_mtok": "Cache write, 1 hour",
    "cache_write_12h_mtok": "Cache write, 12 hours",
    "input_text_mtok": "Text input",
    "output_text_mtok": "Text output",
    "input_audio_mtok": "Audio input",
    "output_audio_mtok": "Audio output",
    "cache_audio_read_mtok": "Cached audio input",
    "input_image_mtok": "Image input",
    "output_image_mtok": "Image output",
    "cache_image_read_mtok": "Cached image input",
    "input_video_mtok": "Video input",
    "output_video_mtok": "Video output",
    "input_mchars": "Characters",
    "audio_hours": "Audio",
    "input_audio_hours": "Audio input",
    "web_searches_kcount": "Web searches",
    "storage_searches_kcount": "File searches",
    "code_executions_kcount": "Code executions",
    "requests_kcount": "Requests",
}
_PER = {1_000_000: "per 1M", 3600: "per hour", 1000: "per 1,000"}


def unit(name: str) -> str:
    """What is paid for."""
    return _NAMES.get(name) or name.replace("_", " ").capitalize()


def per(name: str) -> str:
    """How many of it a rate is for: `per 1M`, `per hour`, `per 1,000`."""
    return _PER.get(UNITS.get(name, 0), "each")
