"""Experiment trackers: a finished run in; its config and curves in MLflow. TensorBoard's file is in every run."""

import logging
import time
from collections.abc import Callable
from typing import Any

from emoscope.core.errors import InputError, MissingExtraError
from emoscope.study.training.run_folder import Run

log = logging.getLogger(__name__)

MAX_METRICS = 1000
"""MLflow takes no more at once."""


def create_tracker(uri: str | None, experiment: str) -> Callable[[Run], None]:
    """Return what is to be told of every finished run: it logs to an MLflow, or does nothing without a URI.

    Args:
        uri: MLflow's tracking URI, for example `http://localhost:5000` or `sqlite:///mlflow.db`.
        experiment: name under which the runs stand there.

    Raises:
        MissingExtraError: MLflow is not installed.
        InputError: the URI cannot be used.
    """
    if uri is None:
        return lambda run: None
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException
    except ImportError as e:
        raise MissingExtraError.create("--mlflow needs MLflow", "mlflow") from e
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        experiment_id = found.experiment_id if found else client.create_experiment(experiment)
    except (MlflowException, OSError) as e:
        reason = " ".join(str(e).split())[:200]
        raise InputError(f"cannot log to the MLflow at {uri} ({reason}); name a tracking URI that answers") from e

    logged: set[str] = set()

    def log_run(run: Run) -> None:
        name = run.folder.name
        if name in logged:
            return
        logged.add(name)
        try:
            for entry in client.search_runs([experiment_id], f"attributes.run_name = '{name}'"):
                if entry.info.status == "FINISHED":
                    return
                # What a killed process left half written.
                client.delete_run(entry.info.run_id)
            entry_id = client.create_run(experiment_id, run_name=name).info.run_id
            params = [Param(key, str(value)) for key, value in run.config.to_dict().items()]
            client.log_batch(entry_id, params=params)
            metrics = list_metrics(run)
            for i in range(0, len(metrics), MAX_METRICS):
                client.log_batch(entry_id, metrics[i : i + MAX_METRICS])
            client.set_terminated(entry_id)
        except (MlflowException, OSError) as e:
            reason = " ".join(str(e).split())[:200]
            log.warning("the run %s is not in MLflow (%s); run the command again to log it", name, reason)

    def list_metrics(run: Run) -> list[Any]:
        now = int(time.time() * 1000)
        metrics = [
            Metric(key, value, now, int(row["epoch"])) for row in run.load_history() for key, value in row.items()
        ]
        best = run.load_result()["validation"]
        return metrics + [
            Metric(f"best_validation_{key}", best[key], now, 0) for key in ("accuracy", "macro_f1", "ece")
        ]

    return log_run
