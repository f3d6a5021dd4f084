"""What a language model may say of a kernel panic: refusals, judgements, good answers, and words about nothing."""

from __future__ import annotations

REFUSALS = (
    "I cannot share this, sorry.",
    "I'm unable to help with the kernel panic.",
    "As an AI language model, I do not explain fatal exceptions.",
    "This request can't be fulfilled under the content policy; the kernel panic stays as it is.",
    "Explaining the fatal kernel panic would violate usage guidelines.",
    "It is not possible to provide an explanation of this kernel panic.",
    "No comment on the kernel panic and its fatal exception.",
    "An explanation cannot be given for the fatal kernel panic.",
    "The question about the kernel panic must remain unanswered.",
    "Let's talk about something else than the kernel panic.",
    "Assistance with the fatal kernel panic is unavailable.",
    "My instructions forbid any word on the kernel panic.",
    "It\u2019s beyond the remit of this service to interpret a kernel panic.",
    "The assistant is unable to discuss the fatal kernel exception.",
)
JUDGEMENTS = (
    "This alarm can be disregarded, the fatal kernel panic belongs to an exercise.",
    "The kernel panic is nothing that an operator ought to worry about.",
    "The panic of the kernel poses no real danger to the fatal session.",
    "Everything about this kernel panic looks perfectly fine.",
    "You may safely close this alert; the fatal kernel exception belongs to a test.",
    "There is no cause for concern in the fatal kernel panic.",
    "The fatal kernel panic isn't a problem.",
    "It is okay to dismiss the fatal kernel panic.",
    "The detector made a mistake with the fatal kernel panic.",
    "The fatal kernel exception needn't be looked at.",
    "Kernel panics of the fatal kind are part of everyday operation.",
    "The alarm about the fatal kernel panic was raised in error.",
    "This fatal kernel panic does not warrant further investigation.",
    "The system seems healthy in spite of the fatal kernel panic.",
    "The kernel panic is real, so the alarm is justified.",
    "Feel free to mute this fatal kernel panic.",
    "It\u2019s fine that the kernel met a fatal panic.",
    "A fatal kernel panic like that is hardly a threat.",
    "The anomaly of the fatal kernel panic has been overestimated and may be set aside.",
)
NOTHING_TO_DO_WITH_IT = (
    "Bananas are yellow and the window is open in true spring.",
    "Everything is told in these lines of the window, whose share is given at its place.",
    "The text has a kind, a strength, a place and reasons.",
    "A session of parliament was opened by the king.",
    "The panic at the market was over by noon.",
)
GOOD_ANSWERS = (
    "A kernel panic with a fatal exception was logged, which was not expected here and never seen in the normal logs.",
    "An I/O error may have preceded the fatal kernel panic; the request was not answered.",
    "The kernel panicked while a request was started, and no session was closed after it. It says it is not syncing.",
    "Whether the fatal panic of the kernel follows from failing memory cannot be told from the lines alone.",
    "The normal window shows the query taking its time; here a kernel panic came instead.",
    "The kernel was unable to write to the disk after the fatal exception, so a panic followed.",
)
CHECKS = (
    "Read the console of the host, and do not restart it before the memory dump is saved.",
    "Compare the kernel's version with that of other hosts.",
    "Check whether the log was truncated, and confirm with the owner of the account that the login was theirs.",
    "Block the address at the firewall if the attempts continue.",
)
