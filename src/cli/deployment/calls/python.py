# Python: predict
import json
import os
import urllib.error
import urllib.request

request = urllib.request.Request(
    "{{predict_url}}",
    data=json.dumps({{input}}).encode(),
    headers={
        "Authorization": "Bearer " + os.environ["WEIR_API_KEY"],
        "Content-Type": "application/json",
    },
)
try:
    with urllib.request.urlopen(request) as response:
        print(response.read().decode())
except urllib.error.HTTPError as error:
    raise SystemExit(f"{error.code}: {error.read().decode()}")

# Python: stream
import json
import os
import urllib.error
import urllib.request

request = urllib.request.Request(
    "{{stream_url}}",
    data=json.dumps({{input}}).encode(),
    headers={
        "Authorization": "Bearer " + os.environ["WEIR_API_KEY"],
        "Content-Type": "application/json",
    },
)
try:
    with urllib.request.urlopen(request) as response:
        for line in response:
            print(line.decode(), end="", flush=True)
except urllib.error.HTTPError as error:
    raise SystemExit(f"{error.code}: {error.read().decode()}")

# Python: async
import json
import os
import urllib.error
import urllib.request

headers = {
    "Authorization": "Bearer " + os.environ["WEIR_API_KEY"],
    "Content-Type": "application/json",
}
try:
    # Submit: the answer comes at once, with an id.
    request = urllib.request.Request(
        "{{predict_url}}",
        data=json.dumps({{input}}).encode(),
        headers={**headers, "X-Async-Request": "true"},
    )
    with urllib.request.urlopen(request) as response:
        submitted = json.load(response)
    # Wait for its end: up to 60 s in each call.
    url = "{{data_url}}/async/" + submitted["id"]
    status = submitted["status"]
    while status in ("queued", "running"):
        request = urllib.request.Request(url + "?wait=60", headers=headers)
        with urllib.request.urlopen(request) as response:
            status = json.load(response)["status"]
    # Fetch the model's own answer.
    request = urllib.request.Request(url + "/result", headers=headers)
    with urllib.request.urlopen(request) as response:
        print(response.read().decode())
except urllib.error.HTTPError as error:
    raise SystemExit(f"{error.code}: {error.read().decode()}")
