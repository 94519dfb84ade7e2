"""An answer that is lost on its way: the client repeats its call, and there is one batch, paid for once."""

from collections.abc import Iterator

import openai
import pytest
import requests

from tests.support.server import Shared
from tests.support.waiting import LIMIT_SECONDS
from tests.v1.lines import input_file, line
from tests.v1.lossy_proxy import LossyProxy

PATH = "/v1/batches"


@pytest.fixture
def proxy(shared: Shared) -> Iterator[LossyProxy]:
    made = LossyProxy(shared.server.url)
    yield made
    made.stop()


@pytest.fixture
def through(proxy: LossyProxy, shared: Shared) -> Iterator[openai.OpenAI]:
    """A client with the SDK's own retries, behind the proxy."""
    key = shared.server.tokens["operator"]
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=2) as client:
        yield client


def batches_of(client: openai.OpenAI, file_id: str) -> list[str]:
    return [each.id for each in client.batches.list(limit=20).data if each.input_file_id == file_id]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_answer_makes_no_second_batch(through: openai.OpenAI, proxy: LossyProxy, lost: int) -> None:
    file_id = input_file(through, line("a"))
    proxy.retry_counts.clear()
    proxy.lose[PATH] = lost
    made = through.batches.create(input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h")
    assert proxy.retry_counts == [str(n) for n in range(lost + 1)]
    assert batches_of(through, file_id) == [made.id]


def test_a_second_call_on_purpose_makes_a_second_batch(through: openai.OpenAI, proxy: LossyProxy) -> None:
    file_id = input_file(through, line("a"))
    made = []
    for lost in (0, 1, 0):
        proxy.lose[PATH] = lost
        batch = through.batches.create(input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h")
        made.append(batch.id)
    assert batches_of(through, file_id) == made[::-1]


def test_a_lost_answer_to_the_completion_of_an_upload(through: openai.OpenAI, proxy: LossyProxy) -> None:
    upload = through.uploads.create(bytes=2, filename="a", mime_type="text/plain", purpose="batch")
    part = through.uploads.parts.create(upload.id, data=b"ab")
    proxy.lose[f"/v1/uploads/{upload.id}/complete"] = 1
    done = through.uploads.complete(upload.id, part_ids=[part.id])
    assert done.file is not None
    assert through.files.content(done.file.id).content == b"ab"


def post(shared: Shared, file_id: str, role: str = "operator", window: str = "24h", **headers: str) -> str:
    body = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": window}
    with shared.server.session(role) as http:
        url = f"{shared.server.url}{PATH}"
        answer: requests.Response = http.post(url, json=body, headers=headers, timeout=LIMIT_SECONDS)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def test_only_the_same_call_of_the_same_token_is_a_repetition(client: openai.OpenAI, shared: Shared) -> None:
    file_id = input_file(client, line("a"))
    again = {"x-stainless-retry-count": "1"}
    first = post(shared, file_id)
    assert post(shared, file_id, **again) == first
    assert post(shared, file_id, role="admin", **again) != first
    other = post(shared, file_id, window="12h", **again)
    assert other != first
    assert post(shared, file_id, window="12h", **again) == other
    assert post(shared, file_id, **{"x-stainless-retry-count": "0"}) != first


def test_an_idempotency_key_names_a_call(client: openai.OpenAI, shared: Shared) -> None:
    file_id = input_file(client, line("a"))
    first = post(shared, file_id, **{"Idempotency-Key": "k1"})
    assert post(shared, file_id, **{"Idempotency-Key": "k1"}) == first
    assert post(shared, file_id, **{"Idempotency-Key": "k2"}) != first
