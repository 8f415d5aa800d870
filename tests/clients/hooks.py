"""What Schemathesis can't know about weir: instants that lie ahead, and backends that may be reached.

Loaded by schemathesis.toml. WEIR_MODEL_URL is the one backend that runs beside the tests: any other
address that a case invents is replaced by it, so that nothing but loopback is ever spoken to.
"""

import os
import re
import uuid

import schemathesis
from hypothesis import strategies as st

MODEL = os.environ["WEIR_MODEL_URL"]
WAIT_S_MAX = 0.5
TAGS = re.compile(r'(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*)\Z')
MOMENT = re.compile(r"(19|20)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")
RECEIVER = re.compile(r"https?://[^\s\"]*\Z")
ADDRESS = re.compile(r"https?://[^\s\"]*\Z")


def ahead(moment):
    year, month, day, hour = moment
    return f"{year}-{month:02}-{day:02}T{hour:02}:00:00Z"


# weir refuses keys and tokens that have expired before they are made.
schemathesis.openapi.format(
    "date-time",
    st.tuples(
        st.integers(2100, 2999), st.integers(1, 12), st.integers(1, 28), st.integers(0, 23)
    ).map(ahead),
)


@schemathesis.hook
def filter_case(context, case):
    # Whatever is sent as text is text: a number among the wrong bodies of a readme is a good one.
    is_text = (case.media_type or "").startswith("text/")
    return not is_text or isinstance(case.body, (str, bytes))


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, (dict, list)):
        case.body = nearby(case.body)
    if case.meta and case.meta.generation.mode.is_negative:
        return
    query = case.query or {}
    if case.meta and "stateful" in str(case.meta.phase.name).lower():
        # The next step looks for what this one made, and a dry run makes nothing.
        query.pop("dry_run", None)
    if isinstance(query.get("wait"), (int, float)) and query["wait"] > WAIT_S_MAX:
        # Ten minutes are allowed, and some of these deployments never become ready.
        query["wait"] = WAIT_S_MAX
    # No pattern says that an end lies behind its beginning, nor how many steps lie between.
    query.pop("to", None)
    if "from" in query and ("step" in query or not str(query["from"]).startswith("-")):
        query["from"] = "-15m"
    # One that fits the pattern is still none that a list has given out.
    query.pop("cursor", None)
    if "deployment" in query and "/" not in str(query["deployment"]):
        # It was called `deployment` in another answer, and had no project beside it there.
        query["deployment"] = f"demo/{query['deployment']}"
    headers = case.headers or {}
    # The same one for another request is refused, and rightly so.
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = uuid.uuid4().hex
    for name in ("If-Match", "If-None-Match"):
        # Where Schemathesis finds no text for a pattern with quotes in it, it takes one that does
        # not fit and calls it good.
        if name in headers and not TAGS.match(headers[name]):
            headers[name] = "*"


def nearby(value):
    if isinstance(value, list):
        return [nearby(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {
        name: member if name == "backends" else nearby(member) for name, member in value.items()
    }
    if isinstance(value.get("expires_at"), str) and MOMENT.match(value["expires_at"]):
        # An instant that weir has answered before.
        value["expires_at"] = "2999-01-01T00:00:00Z"
    if isinstance(value.get("url"), str) and RECEIVER.match(value["url"]):
        # A webhook's receiver. Those of backends are looked at below.
        value["url"] = f"{MODEL}/told"
    least, most = value.get("concurrency_min"), value.get("concurrency_max")
    if within(least) and within(most) and least > most:
        # No schema says that one number is not above another.
        value["concurrency_min"] = most
    elif within(least) and most is None:
        value["concurrency_min"] = min(least, 256)
    backends = value.get("backends")
    if isinstance(backends, list):
        # Different paths, since a pool takes each address once.
        value["backends"] = [here(backend, i) for i, backend in enumerate(backends)]
    return value


def within(number):
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    return is_number and 1 <= number <= 100_000


def here(backend, index):
    if isinstance(backend, dict) and isinstance(backend.get("url"), str):
        if ADDRESS.match(backend["url"]):
            backend = {**backend, "url": f"{MODEL}/{index}"}
            # The model is spoken to in clear text.
            if backend.get("protocol") == "h2":
                backend["protocol"] = "h2c"
    return backend
