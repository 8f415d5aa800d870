"""What a user's script does, with nothing but the standard library: create, wait, predict, make and
revoke a key, deploy, roll back, delete."""

import gateway
from gateway import call, version

FLOWER = {"inputs": [[5.1, 3.5, 1.4, 0.2]]}
IRIS = "/api/v1/projects/demo/deployments/iris"


def expect(status, answer):
    got, headers, body = answer
    assert got == status, f"{got} instead of {status}: {body}"
    return headers, body


def done(answer, status=202):
    headers, body = expect(status, answer)
    task = body["task"]
    assert task["status"] == "done", task
    assert int(headers["X-Config-Epoch"]) >= task["config_epoch"], (dict(headers), task)
    return body


def predict(url, key):
    status, headers, body = call("POST", url, FLOWER, {"Authorization": f"Bearer {key}"})
    return status, headers.get("X-Deployment-Version"), body


def main(weir):
    expect(201, weir.admin("POST", "/api/v1/projects", {"name": "demo"}))
    made = weir.admin("POST", "/api/v1/projects/demo/deployments?wait=30",
                      {"name": "iris", "tags": ["tabular"], "version": version(weir.model_url)})
    body = done(made, 201)
    assert body["state"] == "live" and body["live_version"] == 1, body
    url, first = body["predict_url"], body["first_key"]["secret"]
    assert url == f"{weir.data_url}/predict/demo/iris", url
    status, shown, answer = predict(url, first)
    assert (status, shown) == (200, "iris_v1"), (status, shown, answer)

    # A key in force when the call returns, and dead when it is revoked.
    _, key = expect(201, weir.admin("POST", f"{IRIS}/keys", {"description": "script"}))
    assert predict(url, key["secret"])[0] == 200
    _, revoked = expect(200, weir.admin("POST", f"{IRIS}/keys/{key['id']}/revoke"))
    assert revoked["status"] == "revoked" and "secret" not in revoked, revoked
    assert predict(url, key["secret"])[0] == 401
    first_id = body["first_key"]["id"]
    expect(409, weir.admin("POST", f"{IRIS}/keys/{first_id}/revoke"))
    assert predict(url, first)[0] == 200

    # A second version, and back again.
    done(weir.admin("POST", f"{IRIS}/versions?wait=30", version(weir.model_url, notes="second")))
    assert predict(url, first)[1] == "iris_v2"
    done(weir.admin("POST", f"{IRIS}/rollback?wait=30", {"reason": "v2 is no better"}))
    assert predict(url, first)[1] == "iris_v1"

    # A lost race, a dry run, every mistake at once.
    headers, _ = expect(200, weir.admin("GET", IRIS))
    tag = {"If-Match": headers["ETag"]}
    expect(200, weir.admin("PATCH", IRIS, {"description": "mine"}, tag))
    _, lost = expect(412, weir.admin("PATCH", IRIS, {"description": "late"}, tag))
    assert lost["code"] == "revision_mismatch", lost
    wrong = {"main": {"backends": []}, "timeouts": {"connect_ms": 0}, "modell": "x"}
    _, problem = expect(422, weir.admin("POST", f"{IRIS}/versions", wrong))
    pointers = {error["pointer"] for error in problem["errors"]}
    assert pointers == {"/main/backends", "/timeouts/connect_ms", "/modell"}, problem
    _, tried = expect(200, weir.admin("POST", f"{IRIS}/stop?dry_run=true"))
    assert tried["dry_run"] is True, tried
    assert predict(url, first)[0] == 200

    # A version that can't come up leaves the old one live, and says why.
    late = version("http://127.0.0.1:1", readiness={"unreachable_ms": 200})
    _, failed = expect(202, weir.admin("POST", f"{IRIS}/versions?wait=30", late))
    assert failed["task"]["status"] == "failed", failed
    assert "127.0.0.1:1" in failed["task"]["reason"], failed
    assert predict(url, first)[1] == "iris_v1"

    # Deleted: nothing answers, and what happened can still be read.
    done(weir.admin("DELETE", f"{IRIS}?wait=30", {"reason": "the end of the walk"}))
    assert predict(url, first)[0] in (401, 404)
    _, history = expect(200, weir.admin("GET", f"{IRIS}/history?limit=1000"))
    actions = [entry["action"] for entry in reversed(history["items"])]
    for action in ("create", "deploy", "key-create", "key-revoke", "rollback", "retire", "delete"):
        assert action in actions, actions
    # An API key is no admin token.
    bearer = {"Authorization": f"Bearer {first}"}
    expect(401, call("GET", f"{weir.admin_url}/api/v1/status", headers=bearer))
    print("walked: created, predicted, revoked, deployed, rolled back, deleted")


if __name__ == "__main__":
    with gateway.running() as weir:
        main(weir)
