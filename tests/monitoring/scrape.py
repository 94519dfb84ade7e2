"""What /metrics answers, read with Prometheus' own parser."""

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.client import ApiClient


def families_of(client: ApiClient) -> dict[str, Metric]:
    """Give the metrics by the names that a query has: a counter's with `_total`.

    One process alone also says when each counter began (`_created`); the processes of a server do not.
    """
    answer = client.acting_as(None).get("/metrics")
    assert answer.status_code == 200
    found = [each for each in text_string_to_metric_families(answer.text) if not each.name.endswith("_created")]
    return {f"{each.name}_total" if each.type == "counter" else each.name: each for each in found}


def value_of(client: ApiClient, name: str, **labels: str) -> float:
    """Give the value of a sample; 0 if there is none."""
    samples = families_of(client)[name].samples
    return float(next((each.value for each in samples if each.name == name and each.labels == labels), 0))
