"""An archived batch is not found, and so is all that belongs to it: tasks and documents."""

from app.services import Services
from tests.services.stories import bring
from tests.support.client import ApiClient


def test_all_of_it_is_not_found(services: Services, client: ApiClient) -> None:
    batch_id = bring(services, "COMPLETED")
    task = client.get(f"/api/batches/{batch_id}/tasks").json["tasks"][0]
    document = client.get(f"/api/batches/{batch_id}/documents").json["documents"][0]
    paths = [
        f"/api/tasks/{task['id']}",
        f"/api/documents/{document['id']}/content",
        f"/api/batches/{batch_id}",
        f"/api/batches/{batch_id}/tasks",
        f"/api/batches/{batch_id}/documents",
        f"/api/batches/{batch_id}/results",
    ]
    assert [client.get(path).status_code for path in paths] == [200] * 6
    assert client.delete(f"/api/batches/{batch_id}").status_code == 204
    assert [client.get(path).status_code for path in paths] == [404] * 6
