"""A limit of cost stops a batch while real calls are under way: nothing is leased after it, the overshoot is stated."""

from collections.abc import Callable

from sqlalchemy import text

from app.services import build
from config import Config
from tests.acceptance.conftest import StartWorker
from tests.support.batches import Batch
from tests.support.foreign_server import ForeignServer
from tests.support.server import LiveServer
from tests.support.waiting import wait_until

DOCUMENTS = [{"name": f"{number}.txt", "text": f"Letter number {number}."} for number in range(200)]
MODELS = [{"connection": "lab", "model": "small"}]
PROMPTS = [{"name": "p", "text": "Summarise: {document}"}]
CALLS_ALLOWED = 40


def test_a_cost_limit_stops_the_batch(
    start_server: Callable[..., LiveServer], postgres_url: str, start_worker: StartWorker, model_server: ForeignServer
) -> None:
    """Each call costs the same, so that what was spent says how many calls there were."""
    server = start_server(postgres_url)
    services = build(Config(database_url=postgres_url))

    def attempts() -> int:
        with services.engine.connect() as connection:
            asked = text("SELECT sum(attempt) FROM tasks WHERE kind = 'ANALYZE' AND batch_id = :id")
            return int(connection.execute(asked, {"id": batch.show()["id"]}).scalar_one())

    start_worker(server, "--concurrency", "8", "--prefetch", "1")
    with server.session() as http:
        price = price_of_a_call(server, http)
        asked_before = len(model_server.answered())
        options = {"max_cost": CALLS_ALLOWED * price, "lease_seconds": 600}
        batch = Batch(server, http, documents=DOCUMENTS, prompts=PROMPTS, models=MODELS, options=options)
        batch.ask("stage")
        batch.reach("STAGED")
        batch.ask("run")
        batch.reach("PAUSED")
        wait_until(lambda: batch.show()["progress"]["analysis"]["leased"] == 0)

        pause = batch.list_all("audit")[-1]
        told = pause["context"]
        calls_then, in_flight = round(told["used"] / price), told["leases_in_flight"]
        assert (pause["trigger"], pause["actor"]) == ("pause", "system:breaker")
        assert told == {
            "limit": "max_cost", "allowed": CALLS_ALLOWED * price, "used": calls_then * price,
            "leases_in_flight": in_flight,
        }  # fmt: skip
        assert calls_then >= CALLS_ALLOWED
        # Had a lease been granted after the pause, there would be more attempts than were reported and in flight then.
        assert attempts() == calls_then + in_flight
        called = len(model_server.answered()) - asked_before
        assert called == calls_then + in_flight
        assert batch.show()["usage"]["cost"] == called * price
        assert batch.show()["state"] == "PAUSED"

        batch.ask("resume", max_cost=None)
        batch.reach("COMPLETED")
        assert len(model_server.answered()) - asked_before == len(DOCUMENTS)
    services.engine.dispose()


def price_of_a_call(server: LiveServer, http: object) -> float:
    batch = Batch(server, http, documents=DOCUMENTS[:1], prompts=PROMPTS, models=MODELS)  # type: ignore[arg-type]
    batch.ask("stage")
    batch.reach("STAGED")
    batch.ask("run")
    batch.reach("COMPLETED")
    return float(batch.show()["usage"]["cost"])
