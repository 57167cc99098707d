"""What is kept: whose it is, how it is read again, what runs in the background."""

import asyncio

import pytest

from polyport.events import Finish, ServerToolCall, TextDelta
from polyport_gateway.jobs.responses import INTERRUPTED, MemoryResponseStore
from polyport_gateway.settings import Settings
from polyport_gateway.storage.responses import StoredResponse
from tests.support.scripted import text

pytestmark = pytest.mark.anyio


def slowly(release):
    """A turn that says one thing, waits, and says another."""

    async def turn(call):
        yield TextDelta("one ")
        await release.wait()
        yield TextDelta("two")
        yield Finish()

    return turn


class SlowWire:
    """Swaps the scripted dispatcher's stream for an async one that a test can hold up."""

    def __init__(self, make_wire, store=None):
        self.wire = make_wire({}, store=store)
        self.release = asyncio.Event()
        self.ended = []
        self.wire.dispatch.stream = self.stream

    async def stream(self, call):
        try:
            async for event in slowly(self.release)(call):
                yield event
        except BaseException as error:
            self.ended.append(type(error))
            raise
        self.ended.append(None)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_stored_response_is_found_at_once_and_only_by_its_owner(make_wire):
    wire = make_wire({"m": [text("ok")]})
    body = (await wire.create()).json()
    path = f"/v1/responses/{body['id']}"
    assert (await wire.request("GET", path)).json() == body
    for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
        answer = await wire.request(method, path + suffix, caller="other")
        assert answer.status == 404
        assert answer.error["message"] == f"Response with id {body['id']!r} not found."
    theirs = await wire.create(previous_response_id=body["id"], caller="other")
    assert (theirs.status, theirs.error["code"]) == (400, "previous_response_not_found")
    assert (await wire.request("GET", path)).status == 200


async def test_delete(make_wire):
    wire = make_wire({"m": [text("ok")]})
    body = (await wire.create()).json()
    path = f"/v1/responses/{body['id']}"
    assert (await wire.request("DELETE", path)).json() == {"id": body["id"], "object": "response", "deleted": True}
    assert (await wire.request("GET", path)).status == 404
    assert (await wire.request("DELETE", path)).status == 404
    await wire.wire.archive.flush()
    assert await wire.store.get(body["id"], "local") is None


@pytest.mark.parametrize("members", [{"store": False}, {}])
async def test_what_is_not_to_be_stored_is_not(make_wire, members):
    settings = Settings(store_responses=bool(members))
    wire = make_wire({"m": [text("ok")] * 2}, settings=settings)
    for stream in (False, True):
        answer = await wire.create(stream=stream, **members)
        body = answer.events()[-1]["response"] if stream else answer.json()
        assert body["store"] is False
        assert (await wire.request("GET", f"/v1/responses/{body['id']}")).status == 404


async def test_a_chain_of_turns(make_wire):
    wire = make_wire({"m": [text("one"), text("two"), text("three")]})
    first = (await wire.create("a", instructions="first only")).json()
    await wire.wire.archive.flush()
    second = (await wire.create("b", previous_response_id=first["id"])).json()
    await wire.create("c", previous_response_id=second["id"])
    assert [(message["role"], message["content"]) for message in wire.messages()] == [
        ("user", "a"),
        ("assistant", "one"),
        ("user", "b"),
        ("assistant", "two"),
        ("user", "c"),
    ]


async def test_the_store_is_written_behind_the_answer(make_wire):
    store = MemoryResponseStore()
    put, gate = store.put, asyncio.Event()

    async def held(response):
        await gate.wait()
        await put(response)

    store.put = held
    wire = make_wire({"m": [text("one"), text("two")]}, store=store)
    first = (await wire.create("a")).json()
    assert await store.get(first["id"], "local") is None
    assert (await wire.request("GET", f"/v1/responses/{first['id']}")).json() == first
    await wire.create("b", previous_response_id=first["id"])
    assert len(wire.messages()) == 3
    gate.set()
    await wire.wire.stop()
    assert (await store.get(first["id"], "local")).body == first


async def test_a_write_that_fails_is_tried_again(make_wire, caplog):
    store = MemoryResponseStore()
    put, failures = store.put, [OSError("disk full")]

    async def failing(response):
        if failures:
            raise failures.pop()
        await put(response)

    store.put = failing
    wire = make_wire({"m": [text("one")]}, store=store)
    body = (await wire.create("a")).json()
    await wire.wire.archive.flush()
    assert (await store.get(body["id"], "local")).body == body
    assert "trying again" in caplog.text


async def test_input_items_by_page(make_wire):
    wire = make_wire({"m": [text("ok")]})
    body = (await wire.create([{"role": "user", "content": str(n)} for n in range(5)])).json()
    path = f"/v1/responses/{body['id']}/input_items"

    async def page(query=""):
        found = (await wire.request("GET", path + query)).json()
        return [item["content"][0]["text"] for item in found["data"]], found

    assert (await page())[0] == ["4", "3", "2", "1", "0"]
    texts, found = await page("?order=asc&limit=2")
    assert (texts, found["has_more"]) == (["0", "1"], True)
    assert (found["first_id"], found["last_id"]) == (found["data"][0]["id"], found["data"][1]["id"])
    texts, found = await page(f"?order=asc&limit=3&after={found['last_id']}")
    assert (texts, found["has_more"]) == (["2", "3", "4"], False)
    assert (await page(f"?order=asc&limit=1&before={found['first_id']}"))[0] == ["1"]
    for query, param in (("limit=0", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=x", "after")):
        answer = await wire.request("GET", f"{path}?{query}")
        assert (answer.status, answer.error["param"]) == (400, param)


async def test_only_background_responses_are_cancelled(make_wire):
    wire = make_wire({"m": [text("ok")]})
    body = (await wire.create()).json()
    answer = await wire.request("POST", f"/v1/responses/{body['id']}/cancel")
    assert answer.status == 400
    assert "background" in answer.error["message"]


async def test_in_the_background(make_wire):
    slow = SlowWire(make_wire)
    body = (await slow.wire.create(background=True)).json()
    path = f"/v1/responses/{body['id']}"
    assert (body["status"], body["background"]) == ("queued", True)
    await asyncio.sleep(0.01)
    working = (await slow.wire.request("GET", path)).json()
    assert working["status"] == "in_progress"
    busy = await slow.wire.create(previous_response_id=body["id"])
    assert busy.error["code"] == "previous_response_in_progress"
    slow.release.set()
    await until(lambda: slow.ended)
    done = (await slow.wire.request("GET", path)).json()
    assert done["status"] == "completed"
    assert done["output"][0]["content"][0]["text"] == "one two"
    assert (await slow.wire.request("POST", f"{path}/cancel")).json() == done


async def test_cancel_in_the_background(make_wire):
    slow = SlowWire(make_wire)
    body = (await slow.wire.create(background=True)).json()
    await asyncio.sleep(0.01)
    cancelled = (await slow.wire.request("POST", f"/v1/responses/{body['id']}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    assert slow.ended
    assert slow.ended[0] is not None
    assert (await slow.wire.request("GET", f"/v1/responses/{body['id']}")).json() == cancelled
    again = await slow.wire.request("POST", f"/v1/responses/{body['id']}/cancel")
    assert again.json() == cancelled


async def test_a_background_stream_can_be_left_and_taken_up_again(make_wire):
    slow = SlowWire(make_wire)
    reading = asyncio.create_task(slow.wire.create(background=True, stream=True))
    await asyncio.sleep(0.02)
    (id_,) = slow.wire.wire.tasks._tasks
    reading.cancel()
    await asyncio.wait({reading})
    assert not slow.ended, "the reader has gone, the work goes on"
    follower = asyncio.create_task(
        slow.wire.request("GET", f"/v1/responses/{id_}?stream=true&starting_after=2", receive=never)
    )
    await asyncio.sleep(0.01)
    slow.release.set()
    frames = (await follower).body.decode()
    assert '"sequence_number":2,' not in frames
    assert '"sequence_number":3,' in frames
    assert "response.completed" in frames
    whole = await slow.wire.request("GET", f"/v1/responses/{id_}?stream=true", receive=never)
    assert whole.types()[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert whole.events()[-1]["response"]["output"][0]["content"][0]["text"] == "one two"


async def never():
    await asyncio.Event().wait()


async def test_a_stored_response_is_replayed(make_wire):
    wire = make_wire({"m": [[ServerToolCall("c", "look", "{}"), *text("Hel", "lo")]]})
    body = (await wire.create()).json()
    path = f"/v1/responses/{body['id']}?stream=true"
    answer = await wire.request("GET", path, receive=never)
    assert answer.events()[-1] == {
        "type": "response.completed",
        "sequence_number": len(answer.events()) - 1,
        "response": body,
    }
    assert "".join(event["delta"] for event in answer.events() if event["type"].endswith("text.delta")) == "Hello"
    late = await wire.request("GET", path + "&starting_after=500", receive=never)
    assert '"sequence_number":501' in late.body.decode()
    assert "response.completed" in late.body.decode()


async def test_what_a_restart_cut_off_is_failed(make_wire):
    store = MemoryResponseStore()
    body = {"id": "resp_1", "object": "response", "status": "in_progress", "background": True, "output": []}
    await store.put(StoredResponse("resp_1", "local", 0, "in_progress", "m", body, []))
    wire = make_wire({"m": [text("ok")]}, store=store)
    found = (await wire.request("GET", "/v1/responses/resp_1")).json()
    assert (found["status"], found["error"]) == ("failed", {"code": "server_error", "message": INTERRUPTED})
    await wire.wire.archive.flush()
    assert (await store.get("resp_1", "local")).status == "failed"


async def test_stopping_the_gateway_fails_what_runs(make_wire):
    slow = SlowWire(make_wire)
    body = (await slow.wire.create(background=True)).json()
    await asyncio.sleep(0.01)
    await slow.wire.wire.stop()
    stored = await slow.wire.store.get(body["id"], "local")
    assert (stored.status, stored.body["error"]["message"]) == ("failed", INTERRUPTED)


async def test_a_client_that_leaves_a_stream_leaves_a_cancelled_response(make_wire):
    slow = SlowWire(make_wire)
    reading = asyncio.create_task(slow.wire.create(stream=True))
    await asyncio.sleep(0.02)
    (id_,) = slow.wire.wire.archive._live
    live = (await slow.wire.request("GET", f"/v1/responses/{id_}")).json()
    assert (live["status"], live["output"][0]["content"][0]["text"]) == ("in_progress", "one ")
    reading.cancel()
    await asyncio.wait({reading})
    assert slow.ended
    stored = (await slow.wire.request("GET", f"/v1/responses/{id_}")).json()
    assert stored["status"] == "cancelled"
    assert stored["output"][0]["content"][0]["text"] == "one "
    assert stored["output"][0]["status"] == "incomplete"


async def test_what_is_deleted_while_it_is_made_stays_deleted(make_wire):
    slow = SlowWire(make_wire)
    reading = asyncio.create_task(slow.wire.create(stream=True))
    await asyncio.sleep(0.02)
    (id_,) = slow.wire.wire.archive._live
    path = f"/v1/responses/{id_}"
    assert (await slow.wire.request("DELETE", path)).status == 200
    assert (await slow.wire.request("GET", path)).status == 404
    slow.release.set()
    assert (await reading).types()[-1] == "response.completed"
    assert (await slow.wire.request("GET", path)).status == 404
    assert not slow.wire.wire.archive._deleted
