"""The action `severity.set`."""

from typing import get_args

from flows.actions.contract import ActionContext, ActionFailed, Result, Severity, action


@action(name="severity.set", idempotent=True, title="Set the severity of the case")
async def set_severity(context: ActionContext, severity: str) -> Result:
    """Set the severity of the case.

    Args:
        context: The context.
        severity: informational, low, medium, high or critical.
    """
    known = {one: one for one in get_args(Severity)}
    if severity not in known:
        step = f"let the SOP pass one of {', '.join(known)}"
        raise ActionFailed(f"there is no severity {severity!r}", next_step=step)
    return Result(fields={"before": context.case.severity, "after": severity}, severity=known[severity])
