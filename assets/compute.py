"""What runs need of the machine: the pool that trainings share, and what Kubernetes is asked for.

Belongs here: names of pools, tags made from the settings. Does not belong here: how many slots a pool has (dagster.yaml),
how Lightning uses a GPU (training.config).
"""

from __future__ import annotations

from typing import Any

from nexus.settings import Settings

GPU_POOL = "gpu"
"""One training at a time, with or without a GPU: dagster.yaml gives each pool one slot."""
GPU_RESOURCE = "nvidia.com/gpu"


def run_tags(settings: Settings) -> dict[str, Any]:
    """Tags of a job that trains: GPUs of the run's pod; none on one machine."""
    gpus = settings.training.gpus
    if not gpus:
        return {}
    limits = {"limits": {GPU_RESOURCE: str(gpus)}, "requests": {GPU_RESOURCE: str(gpus)}}
    toleration = {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
    config = {"container_config": {"resources": limits}, "pod_spec_config": {"tolerations": [toleration]}}
    return {"dagster-k8s/config": config}
