"""Several endpoints as one: who is asked, in which order, and what is made of the answers."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from contracts.client.rpc import endpoint as endpoints
from contracts.client.rpc.endpoint import shown
from contracts.client.rpc.errors import Answered, Indeterminate
from contracts.client.rpc.health import FIRST_REST_S, LONGEST_REST_S
from contracts.client.rpc.pool import Rpc
from nexus.errors import Category, NexusError
from nexus.settings import Settings, Web3Settings
from tests.contracts.rpc.fake import CHAIN, Farm, Raw, Refusal

pytestmark = pytest.mark.unit
SILENT = httpx.ReadTimeout("slow")
ODD: tuple[Any, ...] = (
    Raw("<html>busy</html>"),
    Raw(b'{"jsonrpc":"2.0","id":1,"res'),
    Raw("slow down", 429, {"retry-after": "1"}),
    Raw("", 503),
    Raw('{"jsonrpc":"2.0","id":1,"result":"0x0"}', 502),
    Raw("denied", 401),
    Raw("moved", 302),
    httpx.ConnectError("refused"),
    httpx.RemoteProtocolError("cut"),
    SILENT,
)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{getattr(odd, 'status', type(odd).__name__)}")
async def test_call__first_endpoint_gives_no_answer__the_next_is_asked(odd: Any) -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", odd), farm.add("b", "0x10"))
    assert await rpc.call("eth_blockNumber") == "0x10"
    assert farm.methods("b") == ["eth_blockNumber"]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{getattr(odd, 'status', type(odd).__name__)}")
async def test_call__no_endpoint_gives_an_answer__is_indeterminate_and_tells_no_key(odd: Any) -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", odd))
    with pytest.raises(Indeterminate) as caught:
        await rpc.call("eth_blockNumber")
    assert "key-of" not in str(caught.value) + repr(rpc.health())
    assert caught.value.endpoint == "https://a.example"


async def test_call__node_says_no__is_its_word_and_nobody_else_is_asked() -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", Refusal(-32003, "nonce too low")), farm.add("b", "0x1"))
    with pytest.raises(Answered, match="nonce too low"):
        await rpc.call("eth_sendRawTransaction", ["0x02"])
    assert farm.methods("b") == []


async def test_call__own_error_with_status_400__is_the_nodes_word() -> None:
    farm = Farm()

    def script(question: dict[str, Any]) -> Raw:
        return Raw(f'{{"jsonrpc":"2.0","id":{question["id"]},"error":{{"code":-32602,"message":"bad"}}}}', 400)

    with pytest.raises(Answered, match="bad"):
        await farm.rpc(farm.add("a", script)).call("eth_call")


async def test_call__kept_connection_gone_stale__the_only_endpoint_is_asked_once_more() -> None:
    farm = Farm()
    answers = iter([httpx.RemoteProtocolError("closed"), "0x5"])
    assert await farm.rpc(farm.add("a", lambda _question: next(answers))).call("eth_blockNumber") == "0x5"


@pytest.mark.parametrize("method", ["eth_sendTransaction", "evm_mine", "anvil_setBalance"])
async def test_call__what_must_not_happen_twice__is_asked_once(method: str) -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", SILENT), farm.add("b", "0x1"))
    with pytest.raises(Indeterminate):
        await rpc.call(method)
    assert farm.methods("a") == [method]
    assert farm.methods("b") == []


async def test_call__endpoint_that_failed__rests_and_recovers() -> None:
    farm, now = Farm(), [1000.0]
    state: dict[str, Any] = {"says": httpx.ConnectError("down")}
    rpc = farm.rpc(farm.add("a", lambda _question: state["says"]), farm.add("b", "0xb"))
    for one in rpc._endpoints:
        one.condition.now = lambda: now[0]
    for _ in range(3):
        assert await rpc.call("eth_blockNumber") == "0xb"
    assert farm.methods("a") == ["eth_blockNumber"], "it rests"
    assert rpc.health()[0].state == "resting"
    state["says"] = "0xa"
    now[0] += LONGEST_REST_S
    found = {await rpc.call("eth_blockNumber") for _ in range(2)}
    assert found <= {"0xa", "0xb"}
    await rpc.everywhere("eth_blockNumber")
    assert rpc.health()[0].state == "well"
    assert rpc.health()[0].failures == 0


async def test_call__failures_in_a_row__rest_longer_each_time_up_to_a_limit() -> None:
    farm, now = Farm(), [1000.0]
    rpc = farm.rpc(farm.add("a", httpx.ReadError("cut")))
    (only,) = rpc._endpoints
    only.condition.now = lambda: now[0]
    rests = []
    for _ in range(12):
        await rpc.everywhere("eth_blockNumber")
        rests.append(only.condition.rank[1])
    assert rests[0] <= FIRST_REST_S
    assert rests[5] > rests[2] > rests[0], "each is at least half of a length that doubles"
    assert max(rests) <= LONGEST_REST_S


async def test_call__wrong_chain__is_never_asked_and_is_named() -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("mainnet", "0xbad", chain_id=1), farm.add("ours", "0x10"))
    assert await rpc.call("eth_blockNumber") == "0x10"
    assert farm.methods("mainnet") == []
    assert await rpc.check() == [f"https://mainnet.example: is of chain 1, not {CHAIN.chain_id}"]
    assert [one.state for one in rpc.health()] == ["wrong chain", "well"]


async def test_check__every_endpoint_of_another_chain__is_an_error_with_field_and_remedy() -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", "0x1", chain_id=137))
    with pytest.raises(NexusError) as caught:
        await rpc.check()
    assert (caught.value.category, caught.value.field) == (Category.INVALID, "web3.rpc_urls")
    assert "137" in caught.value.message
    assert "key-of" not in str(caught.value)
    with pytest.raises(Indeterminate, match="137"):
        await rpc.call("eth_blockNumber")


async def test_check__nobody_answers__is_unavailable() -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _request: httpx.Response(500)))
    with pytest.raises(NexusError) as caught:
        await Rpc(["https://a.example/secret"], CHAIN, http=client).check()
    assert caught.value.category == Category.UNAVAILABLE
    assert "secret" not in str(caught.value)


async def test_quorum__two_agree_against_one__is_theirs() -> None:
    farm = Farm()
    rpc = farm.rpc(*(farm.add(host, value) for host, value in (("a", "0xAB"), ("b", "0x0"), ("c", "0xab"))))
    assert str(await rpc.quorum("eth_getCode", ["0x1", "latest"])).lower() == "0xab"


async def test_quorum__receipts_with_fields_of_their_makers__agree_by_what_identifies_them() -> None:
    farm = Farm()
    receipt = {"transactionHash": "0x1", "blockHash": "0x2", "blockNumber": "0x3", "status": "0x1"}
    rpc = farm.rpc(farm.add("a", receipt), farm.add("b", receipt | {"l1Fee": "0x9"}))
    assert (await rpc.quorum("eth_getTransactionReceipt", ["0x1"]))["blockHash"] == "0x2"


async def test_quorum__they_do_not_agree__is_indeterminate() -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", None), farm.add("b", {"blockHash": "0x2"}))
    with pytest.raises(Indeterminate) as caught:
        await rpc.quorum("eth_getTransactionReceipt", ["0x1"])
    assert caught.value.kind == "disagreement"


async def test_quorum__one_of_two_is_away__is_indeterminate() -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", "0x1"), farm.add("b", SILENT))
    with pytest.raises(Indeterminate, match="fewer than 2"):
        await rpc.quorum("eth_getCode", ["0x1"])


async def test_quorum__one_endpoint_in_all__is_enough_by_itself() -> None:
    farm = Farm()
    assert await farm.rpc(farm.add("a", "0x7")).quorum("eth_getCode", ["0x1"]) == "0x7"


async def test_quorum__same_error_of_both__is_the_nodes_word() -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", Refusal(3, "reverted")), farm.add("b", Refusal(3, "execution reverted")))
    with pytest.raises(Answered):
        await rpc.quorum("eth_call", [{}])


async def test_everywhere__each_in_its_own_way__is_told_in_their_order() -> None:
    farm = Farm()
    rpc = farm.rpc(
        farm.add("a", "0xhash"),
        farm.add("b", Refusal(-32000, "already known")),
        farm.add("c", SILENT),
        farm.add("d", "0xhash", chain_id=56),
    )
    said = await rpc.everywhere("eth_sendRawTransaction", ["0x02"])
    assert [type(one) for one in said] == [str, Answered, Indeterminate, Indeterminate]
    assert farm.methods("d") == []


async def test_batch__mixed__has_one_outcome_per_question_in_order() -> None:
    farm = Farm()

    def script(question: dict[str, Any]) -> Any:
        return Refusal(-32000, "no") if question["params"] == [1] else question["params"][0]

    said = await farm.rpc(farm.add("a", script)).batch([("m", [number]) for number in range(450)])
    assert isinstance(said[1], Answered)
    assert [one for one in said if not isinstance(one, Answered)] == [0, *range(2, 450)]


async def test_batch__endpoint_gives_no_answer__goes_on_to_the_next() -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", Raw("<html>")), farm.add("b", "0x1"))
    assert await rpc.batch([("eth_getBalance", ["0x1"])] * 3) == ["0x1"] * 3


async def test_batch__nobody_answers__does_not_raise() -> None:
    farm = Farm()
    said = await farm.rpc(farm.add("a", SILENT)).batch([("eth_getBalance", ["0x1"])] * 2)
    assert [type(one) for one in said] == [Indeterminate, Indeterminate]


async def test_batch__node_takes_none__is_asked_one_by_one() -> None:
    farm = Farm()
    refused = Raw('{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}')
    state = {"is_first": True}

    def script(question: dict[str, Any]) -> Any:
        if state["is_first"]:
            state["is_first"] = False
            return refused
        return question["params"][0]

    rpc = farm.rpc(farm.add("a", script))
    assert await rpc.batch([("m", [1]), ("m", [2])]) == [1, 2]
    assert await rpc.batch([]) == []


async def test_call__asked_to_slow_down__the_endpoint_is_left_alone_that_long() -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", Raw("", 429, {"retry-after": "30"})), timeout_s=5)
    for _ in range(3):
        with pytest.raises(Indeterminate) as caught:
            await rpc.call("eth_blockNumber")
        assert caught.value.kind == "throttled"
    assert farm.methods("a") == ["eth_blockNumber"]


async def test_call__more_than_allowed_a_second__waits() -> None:
    farm = Farm()
    rpc = farm.rpc(farm.add("a", "0x1"), per_second=40)
    await rpc.check()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(rpc.call("eth_blockNumber") for _ in range(59)))
    assert loop.time() - began >= 0.45


async def test_call__answer_without_end__is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MAX_ANSWER_BYTES", 1000)
    farm = Farm()
    with pytest.raises(Indeterminate, match="more than 1000 bytes"):
        await farm.rpc(farm.add("a", "0x" + "00" * 2000)).call("eth_getCode")


async def test_rpc__any_use__keys_stand_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    farm = Farm()
    rpc = farm.rpc(farm.add("a", "0x1"), farm.add("b", SILENT))
    with caplog.at_level(logging.DEBUG):
        await rpc.everywhere("eth_blockNumber")
    assert "key-of" not in caplog.text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://eth.example/v2/KEY", "https://eth.example"),
        ("https://user:KEY@eth.example:8443/?k=KEY", "https://eth.example:8443"),
        ("http://[::1]:8545/KEY", "http://[::1]:8545"),
    ],
)
def test_shown__url_with_keys__has_scheme_host_and_port_only(url: str, expected: str) -> None:
    assert shown(url) == expected


def test_of__no_endpoint__says_what_to_do() -> None:
    with pytest.raises(NexusError, match="--with web3"):
        Rpc.of(Settings())


async def test_of__settings__uses_urls_chain_and_rate() -> None:
    settings = Settings(web3=Web3Settings(chain="polygon", rpc_urls=("http://127.0.0.1:1",)))  # type: ignore[arg-type]
    async with Rpc.of(settings) as rpc:
        assert rpc.chain.chain_id == 137
        assert [one.endpoint for one in rpc.health()] == ["http://127.0.0.1:1"]
