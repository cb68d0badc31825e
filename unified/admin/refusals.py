"""What keeps staff from adjusting or refunding, in words, and at which field of the form it belongs."""

from __future__ import annotations

from accounts.services import UserHasLeft
from accounts.templatetags.figures import counted, whole
from credits import services as credits

OWN = "This is your own account: somebody else has to do it."
REFUSALS = (
    *(credits.AdjustmentNotAllowed, credits.AdjustmentLimitExceeded, credits.AdjustmentKeyReused),
    *(credits.BalanceHasChanged, credits.LeftHasChanged, credits.NotAdjusted, credits.InsufficientCredits),
    *(credits.InvalidAmount, credits.InvalidGrant, credits.ReasonNeeded, credits.NotRefundable),
    *(credits.RefundExceedsCharge, UserHasLeft),
)


def in_words(refusal: Exception | None) -> tuple[str, str]:
    """The field's name, empty if it is about no single one, and what stands there."""
    match refusal:
        case credits.NotAdjusted(user=user, why=why):
            return "", f"Nobody's credits were changed, because of {user}: {in_words(why)[1]}"
        case credits.OwnAccount():
            return "", OWN
        case credits.AdjustmentNotAllowed():
            return "", "None of your roles may move credits. Whoever gives out the roles can change that."
        case credits.AdjustmentLimitExceeded(per_adjustment=at_a_time, left_today=left):
            today = "" if left is None else f", and {whole(left)} more in these 24 hours"
            return "amount", f"Your role may move {counted(at_a_time, 'credit')} at a time{today}."
        case credits.InsufficientCredits(available=available, needed=needed):
            return "amount", f"Only {counted(available, 'credit')} can be spent, and {whole(needed)} would be taken."
        case credits.RefundExceedsCharge(charged=charged, refunded=refunded):
            left = charged - refunded
            return "amount", f"Only {counted(left, 'credit')} of this transaction can be refunded yet."
        case credits.BalanceHasChanged(balance=balance):
            return (
                "",
                f"Nothing was done yet: the balance has changed meanwhile, and is {whole(balance)} now. Look again.",
            )
        case credits.LeftHasChanged(left=left):
            return "", f"Nothing was done yet: meanwhile {counted(left, 'credit')} are left to refund. Look again."
        case credits.AdjustmentKeyReused():
            return "", (
                "This form was sent before, for something else, which is in the transactions. Nothing was done now. If "
                "this is to be done as well, send it again."
            )
        case credits.InvalidGrant():
            return "expires_on", "That time is over: credits must expire in the future."
        case credits.InvalidAmount() | credits.ReasonNeeded() | credits.NotRefundable():
            return {credits.InvalidAmount: "amount", credits.ReasonNeeded: "reason"}.get(type(refusal), ""), str(
                refusal
            )
        case UserHasLeft():
            return "", "This person has left meanwhile: their credits stay as they are."
    raise TypeError(f"No words for {refusal!r}.")
