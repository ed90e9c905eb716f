"""Hostile input made by grammars, from one seed: the same in every run.

Every smuggling case carries a whole second request inside of what an honest reader takes for its body. Whoever reads
the framing in another way sends that one on too.
"""

import random
from collections.abc import Callable, Iterator
from itertools import product
from urllib.parse import quote

SEED = 20261122
CONTROLS = [*range(0x20), 0x7F]


def smuggled(number: object, head: bytes) -> bytes:
    """The request that must never be seen; `head` are the fields that would make it valid."""
    return b"GET /v1/files/smuggled-%s HTTP/1.1\r\n%b\r\n" % (str(number).encode(), head)


_TE_NAMES = (b"Transfer-Encoding", b"transfer-encoding", b"TRANSFER-ENCODING")
_TE_LINES = (
    *(b"%b: chunked" % name for name in _TE_NAMES),
    *(b"Transfer-Encoding:%bchunked" % gap for gap in (b"", b"\t", b"  ", b"\t \t", b"\x0b", b"\x0c", b"\x00")),
    *(b"Transfer-Encoding%b: chunked" % gap for gap in (b" ", b"\t", b"\x0b", b"\x00", b"\r", b"\n ")),
    *(
        b"Transfer-Encoding: " + value
        for value in (
            b"chunked,",
            b", chunked",
            b"chunked, chunked",
            b"chunked, identity",
            b"identity, chunked",
            b"gzip, chunked",
            b"chunked, gzip",
            b"xchunked",
            b"chunkedx",
            b"chunked;q=1",
            b"CHUNKED",
            b'"chunked"',
            b"'chunked'",
            b"chunk",
            b"identity",
            b"cow",
            b"chunked\x00",
            b"chunked\x0b",
            b"\xe2\x80\x8bchunked",
            b"ch\xc5\xabnked",
            b"chunked\r\n ",
            b"\r\n chunked",
            b"\r\n\tchunked",
            b"x\r\nTransfer-Encoding: chunked",
            b"chunked\r\nTransfer-Encoding: x",
            b"chunked\nX: y",
            b"chunked\rX: y",
            b"",
        )
    ),
    b" Transfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\r\r\nTransfer-Encoding: chunked",
    b"Transfer_Encoding: chunked",
    b"Transfer Encoding: chunked",
    b"Trailer: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    b"TE: chunked\r\nTransfer-Encoding: chunked",
    b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    b"Connection: Content-Length",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
    b"Expect: 100-continue\r\nTransfer-Encoding: chunked",
)
_LENGTHS: tuple[Callable[[int], bytes], ...] = (
    lambda n: b"Content-Length: %d" % n,
    lambda n: b"content-length:%d" % n,
    lambda n: b"Content-Length: %d\r\nContent-Length: %d" % (n, n),
    lambda n: b"Content-Length: %d\r\nContent-Length: 0" % n,
    lambda n: b"Content-Length: 0\r\nContent-Length: %d" % n,
    lambda n: b"Content-Length: %d, %d" % (n, n),
    lambda n: b"Content-Length: 0, %d" % n,
    lambda n: b"Content-Length: +%d" % n,
    lambda n: b"Content-Length: -%d" % n,
    lambda n: b"Content-Length: 0x%x" % n,
    lambda n: b"Content-Length: %d.0" % n,
    lambda n: b"Content-Length: %de0" % n,
    lambda n: b"Content-Length: %d 0" % n,
    lambda n: b"Content-Length: 0 %d" % n,
    lambda n: b"Content-Length: %d;x" % n,
    lambda n: b"Content-Length: %d\x00" % n,
    lambda n: b"Content-Length: %d\x0b" % n,
    lambda n: b"Content-Length: 0\r\n %d" % n,
    lambda n: b"Content-Length: %d\r\n 0" % n,
    lambda n: b"Content-Length : %d" % n,
    lambda n: b"Content-Length\t: %d" % n,
    lambda n: b" Content-Length: %d" % n,
    lambda n: b"Content-Length: \xd9\xa5%d" % n,
    lambda n: b"Content-Length: " + b"0" * 5000 + b"%d" % n,
    lambda n: b"Content-Length: " + b"9" * 5000,
    lambda n: b"Content-Length: %d_0" % n,
    lambda n: b"Content-Length: '%d'" % n,
    lambda n: b"Content-Length: %d\rX: y" % n,
    lambda n: b"Content-Length: 18446744073709551616",
    lambda n: b"Content-Length: 18446744073709551615",
)
_SIZES = (
    b"0x%x", b"%x ", b" %x", b"+%x", b"-%x", b"0%x\n", b"%x\n", b"%x\r", b"\n%x", b"%x_0", b"%x\x00", b"%x;a\nb",
    b"%x;a=\x00", b"%x,", b"%x\x0b", b"0\r\n%x", b"%x\r\n\r\n", b"%xg", b"ffffffffffffffff%x", b"%x \t;", b"\xef%x",
)  # fmt: skip


def smuggling(head: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, bytes of a connection): none of them may bring the smuggled request to the provider."""
    number = 0
    for te, length, layout in product(_TE_LINES, _LENGTHS, ("cl.te", "te.cl")):
        number += 1
        inner = smuggled(number, head)
        start = b"POST /v1/files/attack-%d HTTP/1.1\r\n%b" % (number, head)
        if layout == "cl.te":
            body = b"0\r\n\r\n" + inner
            yield f"cl.te {number}", start + length(len(body)) + b"\r\n" + te + b"\r\n\r\n" + body
        elif te.lower().endswith(b"transfer-encoding: chunked") and length is _LENGTHS[0]:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
            yield f"te.cl {number}", start + length(body.index(b"\r\n") + 2) + b"\r\n" + te + b"\r\n\r\n" + body
    for size in _SIZES:
        number += 1
        inner = smuggled(number, head)
        start = b"POST /v1/files/attack-%d HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n" % (number, head)
        yield f"size {size!r}", start + (size % len(inner)) + b"\r\n" + inner + b"\r\n0\r\n\r\n"
    for end in (b"0\r\nX: y\n\n", b"0\n\n", b"0\r\r\n", b"0\r\n\n", b"00000000000000000\r\nX\r\n\r\n", b"0;\r\n\r"):
        number += 1
        start = b"POST /v1/files/attack-%d HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n" % (number, head)
        yield f"end {end!r}", start + end + b"X"


def mutated_smuggling(head: bytes, count: int, seed: int = SEED) -> Iterator[tuple[str, bytes]]:
    """As `smuggling`: an honest length first, then a Transfer-Encoding line with up to three bytes changed."""
    chance = random.Random(seed)
    line = b"Transfer-Encoding: chunked\r\n"
    for number in range(count):
        changed = bytearray(line)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(changed))
            how = chance.randrange(3)
            byte = chance.choice((*CONTROLS, *range(256)))
            if how == 0:
                changed[at] = byte
            elif how == 1:
                changed.insert(at, byte)
            elif len(changed) > 1:
                del changed[at]
        body = b"0\r\n\r\n" + smuggled(f"m{number}", head)
        start = b"POST /v1/files/attack-m%d HTTP/1.1\r\n%bContent-Length: %d\r\n" % (number, head, len(body))
        yield f"mutated {bytes(changed)!r}", start + bytes(changed) + b"\r\n" + body


def bad_bytes_in_fields() -> Iterator[tuple[str, bytes]]:
    """(place, one field line): every control byte in name and value, at start, middle and end."""
    for byte in (*CONTROLS, 0x80, 0xFF):
        part = bytes((byte,))
        for place, name, value in (
            ("name start", part + b"x-mark", b"v"),
            ("name middle", b"x-" + part + b"mark", b"v"),
            ("name end", b"x-mark" + part, b"v"),
            ("value start", b"x-mark", part + b"v"),
            ("value middle", b"x-mark", b"v" + part + b"w"),
            ("value end", b"x-mark", b"v" + part),
        ):
            yield f"{place} {byte:#04x}", name + b": " + value


_DOTS = (".", "%2e", "%2E", "%252e", "%c0%ae", "%uff0e", "．", "%00.", ".%00", "\u2024")
_SLASHES = ("/", "\\", "%2f", "%5c", "%252f", "%c0%af", "%ef%bc%8f", "//", "/./", ";/")


def traversals() -> Iterator[str]:
    """Path pieces that climb, in thousands of spellings."""
    for one, two, slash, depth, rest in product(
        _DOTS, _DOTS, _SLASHES, (1, 2, 5), ("etc/passwd", "openai/deployments/x", "", "v1/models?key=1")
    ):
        yield (one + two + slash) * depth + rest


def as_target(text: str) -> bytes:
    """Text as it can stand in a request line."""
    return quote(text, safe="/%?&=;.\\:@!$'()*+,#[]~-_").encode("ascii")


def _octets(address: str) -> list[int]:
    return [int(part) for part in address.split(".")]


def spellings(address: str) -> Iterator[str]:
    """An IPv4 address as hosts, in every notation that some resolver takes."""
    a, b, c, d = _octets(address)
    whole = int.from_bytes(bytes((a, b, c, d)))
    for first, second, third, fourth in product(("%d", "0x%x", "0%o"), repeat=4):
        yield f"{first % a}.{second % b}.{third % c}.{fourth % d}"
    tail = (b << 16) + (c << 8) + d
    yield from (f"{whole}", f"0x{whole:x}", f"0{whole:o}", f"0x{whole:X}", f"{a}.{tail}", f"0x{a:x}.0x{tail:x}")
    yield from (f"{a}.{b}.{(c << 8) + d}", f"0{a:o}.{tail}", f"{whole}.", f"{address}.", f"{address}..")
    yield from (f"[::ffff:{address}]", f"[::{address}]", f"[64:ff9b::{address}]", f"[0:0:0:0:0:ffff:{address}]")
    yield from (f"[::ffff:{whole >> 16:x}:{whole & 0xFFFF:x}]", f"[2002:{whole >> 16:x}:{whole & 0xFFFF:x}::1]")
    yield from (f"[::ffff:{address}%25lo]", f"[64:ff9b:1::{address}]", f"[::ffff:0:{address}]")
    wide = str.maketrans("0123456789.", "０１２３４５６７８９．")
    round_digits = str.maketrans("123456789", "①②③④⑤⑥⑦⑧⑨")
    yield from (address.translate(wide), address.translate(round_digits), address.replace(".", "。"))
    yield from (address.replace(".", "%2e"), address.replace(".", "｡"), f"user@{address}", f"api.openai.com@{address}")
    yield from (f"{address}\\@api.openai.com", f"api.openai.com#@{address}", f"{address}%00.openai.azure.com")
    yield from (f"api.openai.com\\@{address}", f"{address} .openai.azure.com", f"{address}\t", f"\u200b{address}")


PRIVATE_V4 = (
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "169.254.170.2",
    "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
)  # fmt: skip
PRIVATE_NAMES = (
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "ｌｏｃａｌｈｏｓｔ", "ip6-localhost", "metadata",
    "metadata.google.internal", "x.internal.", "printer.local", "kubernetes.default.svc", "router.home.arpa",
    "[::1]", "[::]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fec0::1]", "[ff02::1]",
    "[2001:0:7f00:1::]", "[::127.0.0.1]", "a..b.com", "-a.com", "a-.com", ".com", "com", "x" * 64 + ".com",
    "a." * 130 + "com", "ex ample.com", "exa\nmple.com", "exa\tmple.com", "exa\x00mple.com", "ex%61mple.com",
    "exämple.com", "example.com\\.evil", "a_b", "",
)  # fmt: skip


def hostile_endpoints() -> Iterator[str]:
    """Azure endpoints that may never be accepted on a box that allows no private upstreams."""
    for host in (*PRIVATE_NAMES, *(host for address in PRIVATE_V4 for host in spellings(address))):
        for form in ("https://{}", "https://{}:443", "https://{}/openai", "https://{}:8080/x"):
            yield form.format(host)
    for scheme in ("http", "ftp", "file", "gopher", "javascript", "HTTP", "https+unix", "//", ""):
        yield f"{scheme}://name.openai.azure.com" if scheme not in ("//", "") else f"{scheme}name.openai.azure.com"
    for tail in (":99999", ":-1", ":a", "?x=y", "#x", "?", "#", "/%00", "/\\..\\", "/a b"):
        yield "https://name.openai.azure.com" + tail
    yield from (
        "https:name.openai.azure.com",
        "https:///name",
        "https://user:pw@name.openai.azure.com",
        "https://@a.com",
    )


def _value(chance: random.Random, depth: int) -> str:
    kind = chance.randrange(12 if depth else 8)
    if kind < 8:
        return chance.choice(
            (
                "null",
                "true",
                "1e400",
                "-0",
                "NaN",
                '"\\ud800"',
                '"\\u0000"',
                "9" * 400,
                '"gpt-4o"',
                '"\u202e"',
                "-1",
                "{",
            )
        )
    if kind < 10:
        return "[" + ",".join(_value(chance, depth - 1) for _ in range(chance.randrange(4))) + "]"
    return "{" + ",".join(f"{_key(chance)}:{_value(chance, depth - 1)}" for _ in range(chance.randrange(4))) + "}"


def _key(chance: random.Random) -> str:
    return chance.choice(
        (
            '"model"',
            '"mod\\u0065l"',
            '"MODEL"',
            '"stream"',
            '"stream_options"',
            '"messages"',
            '""',
            "model",
            '"\\ud800"',
        )
    )


def json_bodies(count: int, seed: int = SEED) -> Iterator[bytes]:
    """Bodies near JSON: repeated and hidden keys, depth, numbers, bad text, cut and changed bytes."""
    chance = random.Random(seed)
    for _ in range(count):
        text = "{" + ",".join(f"{_key(chance)}:{_value(chance, 3)}" for _ in range(chance.randrange(1, 6))) + "}"
        body = bytearray(text.encode("utf-8", "surrogatepass"))
        fate = chance.randrange(6)
        if fate == 0 and body:
            body[chance.randrange(len(body))] = chance.randrange(256)
        elif fate == 1:
            del body[chance.randrange(len(body) + 1) :]
        elif fate == 2:
            depth = chance.choice((100, 127, 129, 200, 5000))
            body = bytearray(b'{"model":"gpt-4o","messages":' + b"[" * depth + b"]" * depth + b"}")
        elif fate == 3:
            body[:0] = chance.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"[", b"\xc0\xaf"))
        yield bytes(body)


_WORDS = (
    *b"GET POST /v1/chat/completions HTTP/1.1 x-lectr-key content-length transfer-encoding chunked".split(),
    *b"0 5 { } / % ? :".split(),
    *(b" ", b"\r\n", b"\n", b"\x00", b"\xff"),
)


def garbage(count: int, seed: int = SEED) -> Iterator[bytes]:
    """Bytes that are nearly no HTTP at all."""
    chance = random.Random(seed)
    for _ in range(count):
        yield b"".join(chance.choices(_WORDS, k=chance.randrange(1, 30))) + chance.randbytes(chance.randrange(20))


METHODS = (
    "DELETE", "HEAD", "PUT", "CONNECT", "OPTIONS", "TRACE", "COPY", "LOCK", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH",
    "SEARCH", "UNLOCK", "BIND", "REBIND", "UNBIND", "ACL", "REPORT", "MKACTIVITY", "CHECKOUT", "MERGE", "M-SEARCH",
    "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PATCH", "PURGE", "MKCALENDAR", "LINK", "UNLINK", "SOURCE", "QUERY", "PRI",
    "get", "Get", "DEBUG", "TRACK", "X", "GET\t",
)  # fmt: skip
