"""The database drops every connection while the service runs: nobody needs to restart anything, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg2

from tests.quickstart.service import Answer, Service, send, wait_for


def drop_all_connections(service: Service) -> int:
    """As a restart of the server does, or a firewall."""
    connection = psycopg2.connect(service.facts["database"])
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            return int(cursor.fetchone()[0])
    finally:
        connection.close()


def assert_is_contracts_503(answer: Answer) -> None:
    assert answer.status == 503
    assert answer.headers["Retry-After"]
    body = answer.json()
    assert (body["success"], body["error"], body["code"]) == (False, "Service unavailable", "service_unavailable")
    assert "nothing was kept" in body["details"] or "outcome is unknown" in body["details"]


def test_calls_after_the_drop_work(open_service: Service, new_user: Callable[..., str]) -> None:
    user = new_user(open_service)
    body = {"user_id": user, "amount": 2, "app_name": "imagegene", "description": "Before and after"}
    with ThreadPoolExecutor(16) as pool:  # so that every thread of the service has a connection
        list(pool.map(lambda _: open_service.call("GET", "pricing"), range(64)))
    balance = open_service.call("POST", "deduct-credits", body).json()["new_balance"]

    assert drop_all_connections(open_service) > 0
    answers = []
    for _ in range(3):
        answers.append(open_service.call("GET", f"user-info?user_id={user}"))
        answers.append(open_service.call("POST", "deduct-credits", body))
    unavailable = [answer for answer in answers if answer.status != 200]
    for answer in unavailable:
        assert_is_contracts_503(answer)
    assert len(unavailable) <= 1
    done = sum(answer.status == 200 for answer in answers[1::2])
    assert open_service.call("GET", f"user-info?user_id={user}").json()["credits"] == balance - 2 * done
    assert send(f"{open_service.url}/readyz").status == 200


def test_calls_during_drops_are_each_done_once_when_they_are_repeated(
    open_service: Service, new_user: Callable[..., str]
) -> None:
    """
    A client that repeats a 503 with the same key, while connections break again and again: each time that a call has
    been done, in the midst of the seven others. (By the clock they could break faster than a busy machine does one.)
    """
    user = new_user(open_service, credits=500)
    done, stop = threading.Event(), threading.Event()
    dropped, seen = [], []

    def drop() -> None:
        while not stop.is_set():
            dropped.append(drop_all_connections(open_service))
            done.wait()
            done.clear()

    def deduct(number: int) -> Answer:
        body = {"user_id": user, "amount": 1, "app_name": "imagegene", "description": f"Number {number}"}
        for _ in range(200):
            answer = open_service.call("POST", "deduct-credits", body, headers={"Idempotency-Key": f"{user}-{number}"})
            if answer.status == 200:
                done.set()
                return answer
            if answer.status != 409:  # the first attempt is still being undone
                assert_is_contracts_503(answer)
            seen.append(answer.status)
        raise AssertionError("200 attempts, and never an answer")

    dropper = threading.Thread(target=drop)
    dropper.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(deduct, range(100)))
    finally:
        stop.set()
        done.set()
        dropper.join()
    print(f"{sum(dropped)} connections dropped, {len(seen)} calls repeated")
    assert sum(dropped) > 0
    assert sorted(answer.json()["new_balance"] for answer in answers) == list(range(400, 500))
    assert open_service.call("GET", f"user-info?user_id={user}").json()["credits"] == 400
    page = open_service.call("GET", f"transactions?user_id={user}&limit=500").json()
    assert [entry["seq"] for entry in page["all_transactions"]] == list(range(101, 0, -1))
    wait_for(lambda: send(f"{open_service.url}/readyz").status == 200, what="the service to be ready", seconds=5)
