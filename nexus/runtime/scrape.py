"""What a Prometheus server needs to watch this home: its configuration, the rules, and where every part shows figures.

Belongs here: writing ``$NEXUS_HOME/run/prometheus`` from ``deploy/prometheus`` and the endpoints.
Does not belong here: the rules themselves, running Prometheus (a person's choice: docs/how-to/observe.md).
"""

from __future__ import annotations

import json
import shutil
from urllib.parse import urlsplit

from nexus.runtime.home import Home
from nexus.settings import ROOT, Settings

SOURCE = ROOT / "deploy" / "prometheus"


def targets(settings: Settings) -> dict[str, str]:
    """The URL of every part that shows figures, by the job it is scraped as."""
    told = settings.telemetry
    found = {
        "nexus-api": f"{settings.api.url}/metrics" if settings.api.url else None,
        "nexus-worker": told.metrics_url,
        "nexus-engine": told.engine_url,
        "temporal": told.temporal_url,
    }
    return {job: url for job, url in found.items() if url}


def write(home: Home, settings: Settings) -> None:
    """Write the folder anew; nothing in it is a secret."""
    folder = home.run / "prometheus"
    shutil.rmtree(folder / "targets", ignore_errors=True)  # a part that is gone is no target any more
    (folder / "targets").mkdir(parents=True)
    for job, url in targets(settings).items():
        parts = urlsplit(url)
        labels = {"__metrics_path__": parts.path, "__scheme__": parts.scheme, "instance": job}
        group = [{"targets": [parts.netloc], "labels": labels}]
        (folder / "targets" / f"{job}.json").write_text(json.dumps(group, indent=2) + "\n")
    if SOURCE.is_dir():
        shutil.copyfile(SOURCE / "prometheus.yml", folder / "prometheus.yml")
        shutil.copytree(SOURCE / "rules", folder / "rules", dirs_exist_ok=True)
