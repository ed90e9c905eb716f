"""How figures read: money, rates, counts, durations, shares. Exact values go into titles, never floats into money."""

from decimal import ROUND_HALF_EVEN, Decimal

from app.domain import PICOUSD_PER_USD

UNPRICED = "$0.00 (pricing unavailable)"
_CENT = Decimal("0.01")
_TEN_CENTS = Decimal("0.1")
_LIST_STEP = Decimal("0.000001")
_MINUTE_MS = 60_000

REASONS = {
    "unknown_model": "No price is listed for this model.",
    "no_rate_for_unit": "The price list has no rate for a unit this request used.",
    "no_usage": "The answer carried no usage.",
    "encoded_body": "The answer was encoded, so its usage could not be read.",
    "implausible_usage": "The usage in the answer cannot be true.",
    "reader_failed": "The answer could not be read for its usage.",
}


def exact_money(picousd: int) -> str:
    """Every digit of an amount: `$0.000012345`, at least two decimals."""
    dollars = Decimal(abs(picousd)) / PICOUSD_PER_USD
    text = f"{dollars:,f}"
    whole, _, fraction = text.partition(".")
    return f"{'-' if picousd < 0 else ''}${whole}.{fraction.rstrip('0').ljust(2, '0')}"


def money(picousd: int | None) -> str:
    """A sum to the sensible digit: cents from ten cents up, so that a column lines up; four decimals below."""
    if picousd is None:
        return UNPRICED
    dollars = Decimal(abs(picousd)) / PICOUSD_PER_USD
    sign = "-" if picousd < 0 else ""
    if dollars == 0 or dollars >= _TEN_CENTS:
        return f"{sign}${dollars.quantize(_CENT, ROUND_HALF_EVEN):,}"
    if dollars < Decimal("0.0001"):
        return f"{sign}<$0.0001"
    return f"{sign}${dollars:.4f}"


def cost(picousd: int | None) -> str:
    """The cost of one request, six decimals, so that a column of them lines up."""
    if picousd is None:
        return UNPRICED
    if picousd == 0:
        return "$0.00"
    dollars = Decimal(picousd) / PICOUSD_PER_USD
    if dollars < _LIST_STEP:
        return "<$0.000001"
    return f"${dollars.quantize(_LIST_STEP, ROUND_HALF_EVEN):,}"


def amount(dollars: Decimal) -> str:
    """An exact amount in dollars as a bill shows it, at least two decimals."""
    whole, _, fraction = f"{dollars:,f}".partition(".")
    return f"${whole}.{fraction.rstrip('0').ljust(2, '0')}"


def rate(dollars: Decimal | None) -> str:
    """A price per unit: `$2.50`, `$0.075`; a dash where there is none."""
    return "—" if dollars is None else amount(dollars)


def count(number: int | None) -> str:
    """`9,904`; a dash where it is not known."""
    return "—" if number is None else f"{number:,}"


def compact(number: int | None) -> str:
    """`987`, `12.3k`, `4.56M`: three digits are enough where the exact figure stands in the title."""
    if number is None:
        return "—"
    for limit, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if abs(number) >= limit:
            scaled = Decimal(number) / limit
            places = 2 if scaled < 10 else 1 if scaled < 100 else 0
            return f"{scaled:.{places}f}{unit}"
    return str(number)


def duration(milliseconds: int | float | None) -> str:
    """`84 ms`, `1.24 s`, `2 min 5 s`."""
    if milliseconds is None:
        return "—"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < _MINUTE_MS:
        return f"{Decimal(int(milliseconds)) / 1000:.2f} s"
    minutes, rest = divmod(int(milliseconds), _MINUTE_MS)
    return f"{minutes} min {rest // 1000} s"


def microseconds(value: int | None) -> str:
    """Lectr's own overhead: `840 µs`, `1.24 ms`."""
    if value is None:
        return "—"
    return f"{value} µs" if value < 1000 else f"{Decimal(value) / 1000:.2f} ms"


def share(part: int, whole: int) -> str:
    """`12.3 %`; a dash of nothing. Never 100 % or 0 % where something is missing or there."""
    if whole == 0:
        return "—"
    percent = Decimal(100 * part) / whole
    if 0 < percent < Decimal("0.1"):
        return "<0.1 %"
    if Decimal("99.9") < percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %" if percent not in (0, 100) else f"{percent:.0f} %"
