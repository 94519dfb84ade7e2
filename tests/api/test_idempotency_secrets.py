"""Idempotency-Key where the answer holds a secret: it can be had again, and is kept nowhere in clear."""

from sqlalchemy import text

from app.services import Services
from tests.api.lives import answered, bring, replayed
from tests.support.client import ApiClient, api_client

KEY = {"Idempotency-Key": "one"}


class TestTokens:
    """A token's secret is kept nowhere, and yet a lost answer can be had again."""

    BODY = {"name": "ci", "role": "worker"}  # noqa: RUF012

    def test_the_secret_comes_again(self, client: ApiClient) -> None:
        """Contract 4: on any POST; the second answer holds the same secret, which works."""
        first = client.post("/api/tokens", json=self.BODY, headers=KEY)
        assert first.status_code == 201
        again = client.post("/api/tokens", json=self.BODY, headers=KEY)
        replayed(again, first)
        headers = {"Authorization": f"Bearer {again.json['token']}"}
        assert client.post("/api/tasks/lease", json={"worker": "w"}, headers=headers).status_code == 200

    def test_the_table_gives_no_secret_away(self, client: ApiClient, service: Services) -> None:
        """Contract 5: tokens are stored hashed, in kept answers too; so are lease tokens."""
        secret = client.post("/api/tokens", json=self.BODY, headers=KEY).json["token"]
        batch = bring(client, "ANALYZING", documents=1)
        headers = {"Idempotency-Key": "two"}
        body = {"worker": "w", "batch_id": batch["id"]}
        leased = client.post("/api/tasks/lease", json=body, headers=headers).json["tasks"][0]["lease_token"]
        with service.engine.connect() as connection:
            rows = connection.execute(text("SELECT * FROM idempotency_keys")).all()
            tokens = connection.execute(text("SELECT * FROM api_tokens")).all()
        assert len(rows) == 2
        kept = b"|".join(
            bytes(value) if isinstance(value, (bytes, memoryview)) else str(value).encode()
            for row in (*rows, *tokens)
            for value in row
        )
        for word in (secret, secret[4:], leased):
            assert word.encode() not in kept

    def test_another_token_of_the_same_name_is_another_caller(self, client: ApiClient, service: Services) -> None:
        """Contract 4: the same caller; who comes later under an old name gets no answer that was not for him."""
        made = service.tokens.create("robot", "operator")
        robot = api_client(client.application, {"robot": made["token"]}, "robot")
        first = robot.post("/api/batches", json={"name": "n"}, headers=KEY)
        assert first.status_code == 201
        service.tokens.revoke(made["id"])
        successor = service.tokens.create("robot", "operator")
        robot = api_client(client.application, {"robot": successor["token"]}, "robot")
        answer = robot.post("/api/batches", json={"name": "n"}, headers=KEY)
        body = answered(answer, 201)
        if answer.headers.get("Idempotency-Replayed"):
            assert answer.data == first.data
        else:
            assert body["id"] != first.json["id"]
