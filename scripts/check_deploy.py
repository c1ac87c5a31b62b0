"""Check the Helm chart as Helm and Kubernetes do: lint, render, and every manifest by its schema.

    uv run --no-project --with helm-python-sdk --with kubernetes-validate python check_deploy.py

It knows no schema of KubeRay's RayJob: of that one it checks the pods.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import yaml

CHART = Path(__file__).resolve().parents[1] / "deploy/chart"
CASES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "ray": {"retrain": {"by": "rayjob"}},
    "airflow": {"retrain": {"by": "airflow"}},
    "all": {
        "page": {
            "loginSecret": "login",
            "metricsPort": 9464,
            "storageClass": "fast",
            "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "tls"},
        },
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
    },
}
REFUSED: dict[str, dict[str, Any]] = {
    "a password among the settings": {"settings": {"MLFLOW_TRACKING_PASSWORD": "x"}},
    "an image without a version": {"page": {"image": "medloop-page"}},
    "a word that does not exist": {"page": {"replica": 2}},
}


def pods(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Make plain pods of what KubeRay would start."""
    cluster = manifest["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    base = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}}
    return [{**base, "spec": group["template"]["spec"]} for group in groups]


def main() -> int:
    """Say what was checked; fail at the first fault."""
    print("lint:", helm.lint(str(CHART)))
    with helm.Chart.load(str(CHART)) as chart:
        for name, values in CASES.items():
            chart.validate_schema(chart.merge_values(values))
            texts = chart.render(values, name="demo", namespace="medloop").values()
            manifests = [m for text in texts for m in yaml.safe_load_all(text) if m]
            ray = [pod for m in manifests if m["kind"] == "RayJob" for pod in pods(m)]
            for manifest in [*(m for m in manifests if m["kind"] != "RayJob"), *ray]:
                kubernetes_validate.validate(manifest, "1.34", strict=True)
            print(f"{name}: {', '.join(sorted(m['kind'] for m in manifests))}")
        for name, values in REFUSED.items():
            try:
                chart.validate_schema(chart.merge_values(values))
            except helm.HelmError:
                print(f"refused: {name}")
            else:
                sys.exit(f"the schema lets through {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
