"""The pool as an Executor: what the standard library promises of one holds on real agents."""

from __future__ import annotations

import concurrent.futures
import functools
import operator
import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

import rpn
from rpn.client.calls import RemoteTraceback
from tests.support.cluster import Cluster, running

cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # agents do not have our tests


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("executor"), RPN_ALLOW_PYTHON="yes") as cluster:
        yield cluster


@pytest.fixture
def executor(pool: Cluster) -> Iterator[rpn.Executor]:
    with rpn.Executor(pool.urls[0]) as opened:
        yield opened


def square(number: int) -> int:
    return number * number


def fail(text: str) -> None:
    raise LookupError(text)


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_map_gives_results_in_the_order_of_its_inputs(executor: rpn.Executor) -> None:
    assert list(executor.map(square, range(100))) == [number * number for number in range(100)]
    assert list(executor.map(operator.add, [1, 2, 3], [10, 20])) == [11, 22]


def test_calls_run_in_another_process_with_their_keywords(executor: rpn.Executor) -> None:
    assert executor.submit(os.getpid).result(30) != os.getpid()
    assert executor.submit(functools.partial(sorted, reverse=True), [1, 3, 2]).result(30) == [3, 2, 1]
    assert executor.submit(sorted, ["b", "A"], key=str.lower).result(30) == ["A", "b"]


def test_what_a_call_raises_is_raised_with_its_traceback(executor: rpn.Executor) -> None:
    future = executor.submit(fail, "nothing here")
    with pytest.raises(LookupError, match="nothing here") as caught:
        future.result(30)
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "in fail" in str(caught.value.__cause__)
    assert future.state == "failed"


def test_an_exception_ends_a_map_where_it_happened(executor: rpn.Executor) -> None:
    results = executor.map(functools.partial(operator.truediv, 6), [1, 2, 0, 3])
    assert [next(results), next(results)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


def end_the_process_at_seven(number: int) -> int:
    if number == 7:
        os._exit(3)
    return number


def test_a_call_that_ends_its_process_takes_no_other_with_it(executor: rpn.Executor) -> None:
    results = executor.map(end_the_process_at_seven, range(12), chunksize=6)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(rpn.TaskFailed, match="exit code 3"):
        next(results)


def test_a_result_that_is_not_there_in_time_is_a_timeout(executor: rpn.Executor) -> None:
    future = executor.submit(nap, 30)
    with pytest.raises(TimeoutError):
        future.result(0.2)
    with pytest.raises(TimeoutError):
        list(executor.map(nap, [1.5], timeout=0.2))
    future.stop()
    with pytest.raises((rpn.TaskFailed, concurrent.futures.CancelledError)):
        future.result(30)
    executor.shutdown(wait=False, cancel_futures=True)


def test_a_callback_hears_of_the_end(executor: rpn.Executor) -> None:
    heard = threading.Event()
    executor.submit(square, 3).add_done_callback(lambda future: heard.set())
    assert heard.wait(30)


def test_the_standard_waits_know_our_futures(executor: rpn.Executor) -> None:
    futures = [executor.submit(square, number) for number in range(10)]
    done = {future.result() for future in concurrent.futures.as_completed(futures, timeout=30)}
    assert done == {number * number for number in range(10)}
    assert concurrent.futures.wait(futures).not_done == set()


def test_what_cannot_be_pickled_is_told_by_its_future(executor: rpn.Executor) -> None:
    with pytest.raises(TypeError, match="pickle"):
        executor.submit(square, threading.Lock()).result(30)


def test_what_is_larger_than_a_message_goes_and_comes_as_well(executor: rpn.Executor) -> None:
    assert executor.submit(lambda data: data * 2, b"x" * 700_000).result(30) == b"x" * 1_400_000


def test_after_a_shutdown_nothing_is_taken_but_all_that_was_is_done(pool: Cluster) -> None:
    executor = rpn.Executor(pool.urls[0])
    futures = [executor.submit(square, number) for number in range(20)]
    executor.shutdown()
    assert [future.result(0) for future in futures] == [number * number for number in range(20)]
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(square, 1)


@pytest.mark.slow
def test_scikit_learn_searches_a_grid_on_the_pool_as_it_does_here(pool: Cluster) -> None:
    joblib = pytest.importorskip("joblib")
    datasets = pytest.importorskip("sklearn.datasets")
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    import rpn.joblib  # noqa: F401

    data, target = datasets.load_iris(return_X_y=True)
    search = GridSearchCV(SVC(), {"C": [0.1, 1, 10], "kernel": ["linear", "rbf"]}, cv=3)
    here = search.fit(data, target).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="rpn", server=pool.urls[0]):
        there = search.set_params(n_jobs=-1).fit(data, target).cv_results_["mean_test_score"]
    assert list(here) == list(there)
