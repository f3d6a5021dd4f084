"""Answers of a language model that refuse, or that judge an alarm instead of explaining it.

Belongs here: the wordings, as rules on how such sentences are built. They err on the side of refusing: a good
answer that is dropped costs its words, and the deterministic ones stand in their place.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SOME: Final = r"(?:[\w'-]+,? ){0,4}"
_FEW: Final = r"(?:[\w'-]+,? ){0,2}"
_ADJECTIVES: Final = r"(?:(?!(?:after|before|by|in|on|at|with|for|from|to|when|while|until|and|as) )[\w'-]+,? ){0,3}"
_ALARM: Final = r"(?:alarm|alert|warning|anomal(?:y|ies)|finding|detection|detector|notification|report|flag|score)s?"
_IT: Final = (
    rf"(?:{_ALARM}|this|that|these|those|it|they|everything|all|both|which|tickets?|windows?|lines?|entr(?:y|ies)"
    rf"|messages?"
    r"|events?|logs?|activit(?:y|ies)|behaviou?r|traffic|situation|systems?|status|pattern|sequence|panics?|errors?"
    r"|failures?|attempts?)"
)
_AILMENT: Final = (
    r"(?:anomal\w*|incident|attack\w*|threat\w*|problem\w*|issues?|concern\w*|worr\w+|risk\w*|danger\w*|harm\w*"
    r"|cause for|reason (?:to|for)|intervention|investigation|action|compromise\w*|intrusion|breach|malicious\w*"
    r"|suspicious\w*|serious|critical|important|significant|dangerous|alarming|abnormal|amiss|wrong|warrant\w*"
    r"|justif\w+|matter"
    r"|need|needed|necessary|required|relevan\w+|impact|big deal)"
)
_GET_RID: Final = (
    r"(?:ignor|disregard|dismiss|discard|overlook|skip|suppress|mut|silenc|clos|clear|forget|acknowledg|discount"
    r"|whitelist|allowlist|snooz|wav)(?:e|es|ed|ing|s|ged|ping|ped|ten)?"
)
_FINE: Final = (
    r"(?:normal|usual|ordinary|routine|fine|ok|okay|well|good|safe|clear"
    r"|expected(?! (?:instead|here|at|after|before|next))"
    r"|legitimate|legit|authori[sz]ed|healthy|trivial|unimportant|irrelevant|minor|uninteresting|wrong|mistaken|false"
    r"|noise|correct|justified|genuine|intended|intentional|planned|in order|a (?:test|drill|mistake|glitch|fluke))"
)

_JUDGED: Final = re.compile(
    r"\bdisregard\w*|\bbenign\w*|\bharmless\w*|\binnocuous\w*|\binnocent\w*|\bunwarranted\b|\bunjustified\b"
    r"|\bunfounded\b|\bunremarkable\b|\binconsequential\b|\bnon-?issues?\b|\bred herring|\bover-?sensitive\b"
    r"|\bbaseless\b|\b(?:in error|by mistake|means? nothing|back to sleep)\b"
    r"|\b(?:over(?:estimat|stat|rat|blow)|exaggerat)\w+|\b(?:be|to|them?|it|this) (?:put|set|left|laid) aside\b"
    rf"|\b(?:false|bogus|spurious|mistaken|erroneous|needless|unnecessary|nuisance) {_FEW}(?:{_ALARM}|positives?)\b"
    # Words and figures of speech of playing down, whatever they are said of.
    r"|\b(?:tolera(?:ted|ble)|unheeded|ignorable|negligible|insignifican\w+|immaterial|trivial\w*|unimportan\w+"
    r"|irrelevan\w+|non-?events?|acceptable|accepted condition|commonplace|mundane|sleep over|reassur\w+|shrug\w*"
    r"|hiccups?|cr(?:y|ies|ied) wolf|look the other way"
    r"|one would expect|(?:looks?|seems?|is|are|appears?) clean|(?<!-)safe(?! mode| state)"
    r"|(?:of |has |have |with )?(?:little|no|minor|low|scant|small|any) (?:attention|heed|notice|consequence|importance"
    r"|significance|relevance|meaning|weight|concern|note|interest|urgency|priority|severity|follow-?ups?|handling)"
    r"|(?:cause|reason|grounds?|need|occasion) (?:of|for|to) (?:alarm|concern|worry|panic|act\b|anxiety|suspicion)"
    r"|left (?:alone|as (?:it|they) (?:is|are)|unattended|be)|leave (?:it|this|that|them|things) (?:alone|be|as|at)"
    r"|known (?:and|issues?|problems?|conditions?|quirks?|bugs?|behaviou?r)"
    r"|(?:ordinary|normal|usual|quiet|regular|typical)"
    r" (?:day|thing|noise|operations?|activit\w+|behaviou?r|course|affair|occurrence|event|wear)"
    r"|(?:common|usual|normal|typical|ordinary) (?:and|for (?:this|such|these))"
    r"|(?:no|any) (?:evidence|sign|indication|trace|hint)s? (?:of|for) (?:\w+ )?(?:\w*wrong\w*|abus\w+|misus\w+"
    r"|tamper\w+))\b"
    r"|\b(?:consider|treat|regard|deem|mark|classif|count|view|rate|file)\w* (?:[\w'-]+,? ){0,5}?(?:as )?"
    r"(?:normal|resolved|closed|fine|ok|okay|expected|noise|routine|false|usual|done|solved|handled|settled|low|minor)\b"
    r"|^acknowledge\b|\backnowledge (?:it|this|and)\b"
    # Nothing to worry about; no cause for concern; not a problem.
    rf"|\b(?:no|not|isn't|aren't|wasn't|doesn't|don't|hardly|nothing|none|never|without|little|neither)"
    rf" {_SOME}{_AILMENT}\b"
    rf"|\bnothing (?:[\w'-]+,? ){{0,6}}(?:{_AILMENT}|unusual|odd|strange|special|bad"
    r"|see|do|look|report|fear|happened|attention|interest)\b"
    r"|\b(?:need not|needn't|needs? no|(?:does|do|did|has|have) not (?:need|have)|(?:doesn't|don't) (?:need|have to)"
    r"|(?:nobody|no one|no-one) (?:needs|has|must))\b"
    # To be put aside, said of the alarm or to the operator.
    rf"|\b{_GET_RID} {_ADJECTIVES}{_IT}\b"
    rf"|\b{_IT} {_SOME}(?:be|is|are|get|been) {_FEW}{_GET_RID}\b"
    rf"|\b(?:safe(?:ly)?|ok(?:ay)?|fine|free|best|can|may|should|please) (?:be |to |just |simply |safely )*{_GET_RID}\b"
    # It is fine, it looks normal, it was a drill; but not "it is not expected here".
    rf"|\b{_IT} {_SOME}(?:is|are|was|were|looks?|seems?|appears?|remains?|be|been|sounds?|works?|'s)"
    rf" (?:(?!not |never |no |rarely |hardly |seldom |un)[\w'-]+,? ){{0,3}}{_FINE}\b"
    rf"|\b(?:it|that|this|everything|all)'s (?:all |just |only |quite )?{_FINE}\b"
    rf"|\b(?:perfectly|entirely|completely|absolutely|totally|quite|all|just|only|merely|simply) (?:a |an )?{_FINE}\b"
    rf"|\b(?:all|everything) (?:is )?{_FINE}\b"
    r"|\b(?:rest assured|never mind|no worries|business as usual|(?:works?|working) as (?:intended|expected|designed)"
    r"|by design|(?:everyday|day-to-day|normal|regular|routine|daily) (?:operations?|business|behaviou?r|activity"
    r"|noise)|expected behaviou?r|stand down|move along|carry on|calm|relax|can wait)\b"
    # The detector itself.
    rf"|\b(?:{_ALARM}|model|threshold) {_SOME}(?:mistak\w*|err(?:s|ed)?\b|misfir\w*|overreact\w*|confus\w*"
    r"|got \w+ wrong)"
    rf"|\b(?:lower|reduce|raise|reset|set|mark) {_SOME}(?:{_ALARM}|threshold|confidence|normal)\b"
    r"|\bas instructed\b|\bas (?:you )?(?:asked|requested|told)\b|\bsystem prompt\b",
    re.I,
)  # fmt: skip

_TELL: Final = (
    r"(?:help|assist|shar(?:e|ing)\b|comply|complies|explain|summari[sz]|discuss|comment|disclos|speculat|interpret"
    r"|engag"
    r"|fulfil|participat|elaborat|describ|say\b|tell\b"
    r"|(?:answer|respon[ds]|provid|offer|generat|produc|giv|process|analy[sz]|creat|continu|writ|reveal)\w* "
    r"(?:[\w'-]+ ){0,3}?(?:explanation|summary|answer|analysis|response|details?|information|this|that|it|question"
    r"|request|evidence|content|data|advice)\b)"
)
_REFUSED: Final = re.compile(
    # An explanation of log lines has no first person. "I/O" is none.
    r"(?<![\w/.:-])(?-i:I)(?:'(?:m|d|ve|ll))?(?![\w/:.'-])|(?<![\w/.-])(?:my|me|we|our|myself)(?![\w/.:-])"
    r"|\bsorry\b|\bapolog\w+|\bregret(?:s|tabl\w+|fully)?\b|\bunfortunately\b|\bforgive\b"
    r"|\b(?:ai|language|chat) (?:language )?(?:model|assistant|bot)\b|\ban (?:ai|assistant)\b|\bchatbot\b"
    r"|\b(?:can ?not|can't|could not|couldn't|will not|won't|would not|must not|may not|should not|unable|impossible"
    r"|not (?:able|allowed|permitted|possible|appropriate|willing|going|safe|right|here)|unwilling|declin\w+|refus\w+)"
    rf" (?:[\w'-]+ ){{0,2}}?(?:to )?(?:be )?{_TELL}"
    r"|\b(?:against|content|usage|safety|privacy|acceptable use|violat\w+|due to) (?:[\w'-]+ ){0,3}?"
    r"(?:policy|policies|guidelines?)\b|\bsensitive (?:content|topic|subject|material)\b"
    r"|\bno (?:further |more |such )?(?:answer|explanation|comment|summary|assistance|analysis|opinion"
    r"|response (?:is|can|will))\b"
    r"|\b(?:explanation|answer|comment|summary|assistance|discussion|response|answering|explaining|helping)s? "
    r"(?:[\w'-]+ ){0,5}?(?:is|are|was|be|can ?not|can't|will|would|must) (?:[\w'-]+ ){0,2}?(?:unavailable|impossible"
    r"|inappropriate|refused|denied|declined|withheld|given|provided|offered|made|available|possible|violate|breach)\b"
    r"|\b(?:be|been|remains?|stays?) (?:discussed|explained|unanswered|unexplained|commented|shared)\b"
    r"|^(?:the |your |this )?(?:request|question|answer)s? (?:is |was |has been )?(?:refused|denied|rejected"
    r"|blocked)\W*$"
    r"|\bthis (?:content|topic|question|prompt|input|query|conversation|subject)\b|\brephras\w+|\bquestions? (?:on"
    r"|about|of)\b"
    r"|\bnothing (?:more|further|else) (?:to|can|will)\b|\b(?:the|this) (?:model|ai|assistant|bot) (?:declin|refus"
    r"|can|is|will)"
    r"|\b(?:answering|explaining|describing|discussing|summari[sz]ing|commenting|elaborating)\b|^(?:no can do"
    r"|can't do)\b"
    rf"|\b(?:forbidden|prohibited|disallowed|dangerous|unsafe|unethical|inadvisable|against the \w+) to {_TELL}"
    r"|\bviolat\w+ (?:the |my |our |any )?(?:rules?|terms|law)\b|\bwhat is (?:allowed|permitted|possible)\b"
    r"|\binappropriate\b|\b(?:talk|speak|chat) about\b|\b(?:rather|prefer|better|choose|opt) not\b|\bnot comfortable\b"
    r"|\b(?:outside|beyond) (?:of )?(?:the |its |what )?(?:scope|remit|abilit\w+|capabilit\w+|can be)\b"
    r"|\b(?:consult|ask|contact) (?:an? )?(?:\w+ )?(?:professional|human|someone else|lawyer)\b",
    re.I,
)  # fmt: skip


def judges(text: str) -> bool:
    """Whether a text says of the alarm that it is, or is not, justified, or what to do with it.

    >>> judges("There is really nothing here to worry about."), judges("The session was not expected here.")
    (True, False)
    """
    return _JUDGED.search(_plain(text)) is not None


def refuses(text: str) -> bool:
    """Whether a text declines to answer, or speaks of the one who answers.

    >>> refuses("Explaining this is not something I do."), refuses("An I/O error of the disk.")
    (True, False)
    """
    return _REFUSED.search(_plain(text)) is not None


def _plain(text: str) -> str:
    """Compatible characters made one, apostrophes straight, blanks single."""
    return " ".join(unicodedata.normalize("NFKC", text).replace("\u2019", "'").split())
