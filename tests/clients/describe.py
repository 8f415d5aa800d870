"""Holds a running weir to its description: thousands of calls that fit /api/openapi.json and that
don't, by Schemathesis. Any 5xx, any answer that is not described, fails."""

import os
import pathlib
import re
import subprocess
import sys

import gateway
from gateway import TOKEN, version

HERE = pathlib.Path(__file__).resolve().parent
CASES_MIN = 1_000


def seed(weir):
    """What cases in schemathesis.toml name: a deployment that no case deletes."""
    model = weir.model_url

    def must(method, path, body):
        status, _, answer = weir.admin(method, path, body)
        assert status < 300, (path, answer)
        return answer

    for project in ("demo", "steady", "fraud"):
        must("POST", "/api/v1/projects", {"name": project})
    must("POST", "/api/v1/projects/demo/deployments?wait=30",
         {"name": "iris", "version": version(model)})
    challenged = version(model, challenger={"backends": [{"url": model}]})
    made = must("POST", "/api/v1/projects/steady/deployments?wait=30",
                {"name": "iris", "version": challenged})
    assert made["state"] == "live", made
    base = "/api/v1/projects/steady/deployments/iris"
    must("POST", f"{base}/versions?wait=30", challenged)
    must("PUT", f"{base}/readme", {"text": "# Iris"})


def main():
    with gateway.running() as weir:
        seed(weir)
        command = [
            str(pathlib.Path(sys.executable).with_name("schemathesis")),
            "--config-file", str(HERE / "schemathesis.toml"),
            "run", f"{weir.admin_url}/api/openapi.json", "--checks", "all",
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": str(HERE),
            "WEIR_ADMIN_TOKEN": TOKEN,
            "WEIR_MODEL_URL": weir.model_url,
        }
        # It leaves its notes in the current directory.
        run = subprocess.Popen(command, env=environment, cwd=pathlib.Path(sys.prefix),
                               stdout=subprocess.PIPE, text=True)
        cases = 0
        for line in run.stdout:
            sys.stdout.write(line)
            counted = re.search(r"(\d+) generated", line)
            cases = int(counted[1]) if counted else cases
        run.wait()
        status, _, _ = weir.admin("GET", "/api/v1/status")
        assert status == 200, "weir does not answer any more"
    if run.returncode == 0 and cases < CASES_MIN:
        raise SystemExit(f"only {cases} cases were run; {CASES_MIN} at least are to be")
    raise SystemExit(run.returncode)


if __name__ == "__main__":
    main()
