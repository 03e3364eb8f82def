"""What schemathesis cannot read from the OpenAPI document.

Texts whose form is more than a pattern says have a `format` of their own there; here is how such texts
are made. What the document can only say in words (lists whose items have different names, bytes of
JSON, two times in their order) is kept to here.
"""

import itertools
import json
import os
import re
from base64 import urlsafe_b64encode
from datetime import date, datetime, timedelta, timezone

import schemathesis
from hypothesis import strategies as st
from schemathesis.openapi.checks import RejectedPositiveData

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LABEL = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
HOST = st.builds("{}.{}.example".format, LABEL, LABEL)


def written(at):
    """RFC 3339 in UTC, with milliseconds or none."""
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{at.microsecond // 1000:03d}Z" if at.microsecond else f"{text}Z"


def times(first, last):
    return st.datetimes(min_value=first, max_value=last).map(written)


# The day on which all of this is run, whatever the seed is: ends of keys lie ahead of it.
TODAY = datetime.now(timezone.utc).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)

spans = st.one_of(
    st.integers(1, 300).map("{}d".format),
    st.integers(1, 7_000).map("{}h".format),
    st.integers(10, 10_000).map("{}m".format),
    st.integers(600, 100_000).map("{}s".format),
    st.integers(600_000, 10_000_000).map("{}ms".format),
)
windows = st.one_of(
    st.integers(1, 86_400).map("{}s".format),
    st.integers(1, 1_440).map("{}m".format),
    st.integers(1, 24).map("{}h".format),
    st.just("1d"),
    st.integers(1, 86_400).map("{}000ms".format),
)
origins = st.one_of(
    st.builds("https://{}".format, HOST),
    st.builds("https://*.{}".format, HOST),
    st.builds("https://{}:{}".format, HOST, st.integers(1024, 65_000)),
    st.builds("https://{}:*".format, HOST),
    st.integers(1024, 65_000).map("http://localhost:{}".format),
)
networks = st.one_of(
    st.ip_addresses(v=4).map(lambda address: f"{address}/32"),
    st.ip_addresses(v=6).map(lambda address: f"{address.compressed}/128"),
    st.integers(0, 255).map("10.{}.0.0/16".format),
    st.integers(0, 0xFFFF).map("2001:db8:{:x}::/48".format),
)


def cursor(text):
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


ids = st.text(alphabet=BASE62, min_size=16, max_size=16)
instants = st.integers(1_600_000_000_000, 1_900_000_000_000)

FORMATS = {
    "time": st.one_of(times(datetime(1970, 1, 1), datetime(2100, 1, 1)), st.dates(min_value=date(1970, 1, 1)).map(str)),
    "time-ahead": times(TODAY + timedelta(days=2), TODAY + timedelta(days=300)),
    # Both ends of a stretch of time lie in the last month, and in their order.
    "from": times(TODAY - timedelta(days=25), TODAY - timedelta(days=15)),
    "to": times(TODAY - timedelta(days=12), TODAY - timedelta(days=2)),
    "duration": spans,
    "window": windows,
    "origin": origins,
    "network": networks,
    "address": st.ip_addresses().map(str),
    "cursor-keys": st.builds("1.{}.{}".format, instants, ids).map(cursor),
    "cursor-anomalies": st.builds("1.{}.{}".format, instants, ids).map(cursor),
    "cursor-audit": st.integers(1, 1_000_000).map("a1.{}".format).map(cursor),
    "cursor-tenants": LABEL.map("1.{}".format).map(cursor),
    "cursor-endpoints": LABEL.map("1.{}".format).map(cursor),
    "cursor-events": st.from_regex(r"[0-9A-Za-z]{19}[a-p]", fullmatch=True),
    "cursor-deliveries": LABEL.map("1.{}".format).map(cursor),
    "hook-url": st.builds("https://hooks.{}.com/{}".format, LABEL, LABEL),
    "grace": st.one_of(st.integers(0, 168).map("{}h".format), st.integers(0, 7).map("{}d".format)),
    "cursor-jobs": LABEL.map("1.{}".format).map(cursor),
}
# Where a pattern stands beside the format, texts are sometimes made of the pattern alone, unless there
# is an example to begin with.
EXAMPLES = {
    "time": ["2026-11-22T03:43:49Z", "2026-11-22"],
    "time-ahead": [written(TODAY + timedelta(days=90))],
    "from": [written(TODAY - timedelta(days=20))],
    "to": [written(TODAY - timedelta(days=3))],
    "duration": ["48h"],
    "window": ["1m", "24h"],
    "origin": ["https://app.example.com"],
    "network": ["192.0.2.0/24"],
    "address": ["192.0.2.7"],
    "hook-url": ["https://hooks.example.com/tollgate"],
    "grace": ["24h"],
}

for name, strategy in FORMATS.items():
    schemathesis.openapi.format(f"tollgate-{name}", strategy)


@schemathesis.hook
def before_load_schema(context, schema):
    stack = [schema]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            examples = EXAMPLES.get(str(item.get("format", "")).removeprefix("tollgate-"))
            if examples is not None:
                item["examples"] = examples
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def bytes_of(value):
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))


def all_apart(items, name):
    names = [name(item) for item in items if isinstance(item, dict)]
    return len(set(map(str, names))) == len(names)


UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def rate(limit):
    """What a rate says, however its window is written."""
    window = re.fullmatch(r"([0-9]+)(ms|s|m|h|d)", str(limit.get("window")))
    length = int(window[1]) * UNITS[window[2]] if window else limit.get("window")
    return limit.get("requests"), length


def can_be_leased(limit):
    """A leased bucket holds more than what flows in during a second, or a fiftieth of a shorter window."""
    bucket = limit.get("bucket") if isinstance(limit, dict) else None
    if not isinstance(bucket, dict) or limit.get("mode") != "leased":
        return True
    requests, length = rate(bucket)
    burst = bucket.get("burst")
    if not all(isinstance(number, (int, float)) and number > 0 for number in (requests, length, burst)):
        return True
    return burst > -(-requests * min(1_000, length // 50) // length)


def is_whole(body):
    """At most 1024 bytes of metadata; limits of a key with other names, and that can be leased where they
    say so; limits of a tenant that differ."""
    if not isinstance(body, dict):
        return True
    limits, largest = body.get("limits"), body.get("largest_limits")
    return (
        bytes_of(body.get("metadata")) <= 1024
        and (not isinstance(limits, list) or all_apart(limits, lambda limit: limit.get("name") or "default"))
        and (not isinstance(limits, list) or all(map(can_be_leased, limits)))
        and (not isinstance(largest, list) or all_apart(largest, rate))
    )


@schemathesis.hook
def filter_body(context, body):
    return is_whole(body)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """One phase makes bodies that nobody filters: to refuse one that is not whole is right."""
    return not isinstance(failure, RejectedPositiveData) or is_whole(case.body)


BARE = re.compile(r"[!#-+\-.-~]{1,200}")
QUOTED = re.compile(r'"(?:[!#-\[\]-~]|\\["\\]){1,200}"')
calls = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Each write is another one: what its repetition gets is no business of the document."""
    key = case.headers.get("Idempotency-Key")
    if isinstance(key, str) and BARE.fullmatch(key):
        case.headers["Idempotency-Key"] = f"{key}-{next(calls)}"
    elif isinstance(key, str) and QUOTED.fullmatch(key):
        case.headers["Idempotency-Key"] = f'{key[:-1]}-{next(calls)}"'


@schemathesis.deserializer("application/x-ndjson")
def lines(context, response):
    """An export is a text to the document; each of its lines has to be JSON all the same."""
    text = response.content.decode()
    for line in text.splitlines():
        json.loads(line)
    return text


SECRET = re.compile(r"\b[a-z0-9]+_(?:dev|prod)_[a-z]k_[0-9A-Za-z]{16}_[0-9A-Za-z]{38}\b|(?<=whsec_)[0-9A-Za-z+/]{43}=")


@schemathesis.hook
def after_call(context, case, response):
    """Notes the secrets that were shown: whoever runs this looks for them in the gate's log and state."""
    found = SECRET.findall(response.content.decode(errors="replace"))
    if found:
        with open(os.environ["TOLLGATE_SECRETS_SHOWN"], "a", encoding="utf-8") as file:
            file.writelines(f"{secret}\n" for secret in found)
