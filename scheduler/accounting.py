"""Works out what a share that ends has cost: who gave it, who used it, how much for how long."""

from __future__ import annotations

from rpn.store.commits import Decision
from rpn.store.usage import Charge
from scheduler.amounts import Amounts


def charge(
    decision: Decision, *, device_id: str, submitter_id: str, amounts: Amounts, since_ms: int, until_ms: int
) -> None:
    """Count a share that ends with this decision, once: the commit that frees it writes it down."""
    span_ms = max(0, until_ms - since_ms)
    if span_ms:
        cpu, memory, gpu = amounts.cpu * span_ms, amounts.memory * span_ms, amounts.gpu * span_ms
        decision.charge(Charge(until_ms, device_id, submitter_id, cpu, memory, gpu))
