"""joblib's work on a pool: after `import rpn.joblib`, `joblib.parallel_config(backend="rpn")`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from joblib import register_parallel_backend
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase

from rpn.client.executor import Executor
from rpn.client.future import Future

JOBLIBS_OWN = ("nesting_level", "inner_max_num_threads")
"""parameters that joblib gives every backend"""


class PoolBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Each batch that joblib makes is one call; parameters are Executor's: server, token, cpu, memory, ..."""

    supports_retrieve_callback = True
    supports_timeout = True
    default_n_jobs = -1

    def __init__(self, server: str | None = None, *, jobs_at_once: int = 64, **options: Any) -> None:
        """`jobs_at_once` is what `n_jobs=-1` means: how many batches may be with the pool at a time."""
        known = {
            name: options.pop(name) for name in ("nesting_level", "inner_max_num_threads") if name in options
        }
        super().__init__(**known)
        self._server = server
        self._jobs_at_once = jobs_at_once
        self._options = options
        self._executor: Executor | None = None
        self._under_way: set[Future] = set()

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Connect, and tell how many batches go out at once."""
        self.parallel = parallel
        self._executor = Executor(self._server, **self._options)
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 has no meaning")
        return self._jobs_at_once if n_jobs is None or n_jobs < 0 else n_jobs

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None) -> Future:
        if self._executor is None:
            raise RuntimeError("the backend is used before it was configured")
        future = self._executor.submit(func)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future) -> Any:
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """One call failed or took too long: stop the others."""
        for future in list(self._under_way):
            future.stop()
        if ensure_ready:
            self.terminate()
            self._executor = Executor(self._server, **self._options)

    def terminate(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None


register_parallel_backend("rpn", PoolBackend)
