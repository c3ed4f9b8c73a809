"""From gateway errors and answers to the outcomes of single operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from syncengine.connectors.base import Outcome, Result
from syncengine.connectors.syspro import errors
from syncengine.connectors.syspro.business import BusinessObject
from syncengine.connectors.syspro.replies import Answer, Said
from syncengine.connectors.syspro.settings import Settings
from syncengine.document import Doc
from syncengine.errors import OutcomeUnknown, Rejected, Transient


def sent(call: Callable[[], Doc], count: int) -> Doc | list[Outcome]:
    """The reply, or the outcomes of all `count` operations of a call that was refused as a whole or has no known answer.

    Errors that say that nothing can have run are raised.
    """
    try:
        return call()
    except Rejected as error:
        return [Outcome.rejected(error)] * count
    except OutcomeUnknown as error:
        return [Outcome.unknown(error)] * count


def refusal(
    answer: Answer, settings: Settings, by: BusinessObject, *, what: str, warnings: Sequence[str] = ()
) -> Outcome:
    """The outcome of an answer of this business object that is not DONE."""
    if answer.said is Said.NOTHING:
        return Outcome.unknown(OutcomeUnknown(f"{what}: SYSPRO's reply does not say what became of it"))
    if not answer.errors:
        error = Rejected(
            field=what,
            value="",
            reason="SYSPRO refused it and gave no reason, not when validating either",
            remedy="Enter it by hand in SYSPRO to see the reason, correct it, then retry",
        )
        return Outcome(Result.REJECTED, error=error, warnings=warnings)
    error = errors.rejected(answer.errors, by.remedies)
    if errors.says_duplicate(answer.errors, settings):
        return Outcome(Result.EXISTS, error=error, warnings=warnings)
    if errors.says_locked(answer.errors, settings):
        return Outcome.retry(Transient(f"{what}: {answer.errors[0].text}"))
    return Outcome(Result.REJECTED, error=error, warnings=warnings)
