"""A running weir with one model beside it, for the client programs here. Standard library only."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEIR = os.environ.get("WEIR_BIN", str(ROOT / "target/debug/weir"))
TOKEN = "a-token-for-client-tests"
# Longer than anything here takes.
PATIENCE_S = 60


class Gateway:
    """Where it listens, and how it is called."""

    def __init__(self, ready, model_url):
        self.admin_url = ready["admin_url"]
        self.data_url = ready["data_url"]
        self.model_url = model_url

    def admin(self, method, path, body=None, headers=None):
        """Calls the admin plane; gives the status, the headers and the JSON."""
        headers = {"Authorization": f"Bearer {TOKEN}", **(headers or {})}
        return call(method, self.admin_url + path, body, headers)


def call(method, url, body=None, headers=None):
    """Sends JSON and reads JSON; a refusal is an answer like any other."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, dict(headers or {}), method=method)
    if data is not None:
        request.add_header("Content-Type", "application/json")
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE_S)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        text = answer.read()
        return answer.status, answer.headers, json.loads(text) if text else None


@contextlib.contextmanager
def running():
    """Starts both, on ports that the system chooses, and ends both."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as ending:
        model = started(ending, [WEIR, "sample-model", "iris", "--listen", "127.0.0.1:0"],
                        stdout=subprocess.PIPE)
        model_url = model.stdout.readline().decode().strip()
        ready = pathlib.Path(directory) / "ready.json"
        environment = {
            **os.environ,
            "WEIR_DATA_LISTEN": "127.0.0.1:0",
            "WEIR_ADMIN_LISTEN": "127.0.0.1:0",
            "WEIR_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
            "WEIR_DATA_DIR": str(pathlib.Path(directory) / "data"),
            "WEIR_ADMIN_TOKEN": TOKEN,
            # Nobody listens there; a subscription by mail is refused where no relay is named.
            "WEIR_SMTP_HOST": "127.0.0.1",
            "WEIR_SMTP_PORT": "1",
            "WEIR_SMTP_FROM": "weir@gateway.example",
            "WEIR_LOG_LEVEL": "error",
        }
        weir = started(ending, [WEIR, "serve", "--ready-file", str(ready)], env=environment)
        until = time.monotonic() + PATIENCE_S
        while not ready.exists():
            if weir.poll() is not None or time.monotonic() > until:
                raise SystemExit("weir does not start")
            time.sleep(0.05)
        yield Gateway(json.loads(ready.read_text()), model_url)
        if weir.poll() is not None:
            raise SystemExit(f"weir ended with {weir.returncode}")


def started(ending, command, **options):
    process = subprocess.Popen(command, **options)

    def end():
        process.terminate()
        process.wait(PATIENCE_S)

    ending.callback(end)
    return process


def version(url, **more):
    """The least that can be deployed."""
    return {"main": {"backends": [{"url": url}]}, **more}
