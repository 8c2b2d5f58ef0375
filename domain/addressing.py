"""Sentences that talk to whoever grades instead of answering: orders, role marks, imitated replies.

The phrases stand as data, a language a line. They are precise rather than complete: an ordinary answer must not be
taken for an attack, and a grader does not rely on them alone.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final


def _any(*alternatives: str) -> str:
    return f"(?:{'|'.join(alternatives)})"


_ORDER_BEGINS: Final = _any(
    r"^",
    r"[.;:!?,(\"'>*#-]\s*",
    r"\b(?:please|kindly|now|then|instead)\W+",
    r"\byou (?:must|should|shall|will|can|may|have to|need to|are to)(?: now)? ",
    r"\b(?:bitte|por favor|per favore|s'il (?:te|vous) pla[iî]t|alsjeblieft|proszę|пожалуйста|прошу)\W+",
)
"""Only orders count: "users ignore the instructions" is a remark."""

_DROP: Final = _any(
    "ignore|disregard|forget|override|bypass|overlook|skip|stop (?:following|applying)",
    "(?:do not|don't) (?:follow|apply|use|read)",
    "ignorier(?:e|en sie|t)|vergiss|vergessen sie|missachte|überspringe",
    "ignore[sz]|oublie[sz]?|ne (?:tiens|tenez) pas compte",
    "ignor[ae](?:d|te)?|olvid[ae]|no (?:sigas?|tengas en cuenta)",
    "dimentica|non (?:seguire|considerare)|esqueça|desconsidere",
    "negeer|vergeet|zignoruj|pomiń",
    "игнорируй(?:те)?|проигнорируй(?:те)?|забудь(?:те)?|не следуй(?:те)?",
)
_RULES: Final = _any(
    "rubrics?|instructions?|prompts?|guidelines|grading|scoring|marking scheme|criteria",
    r"(?:everything|anything|all|what)(?: \w+){0,3} (?:above|before|earlier|previously|so far)",
    r"(?:previous|prior|earlier|above) (?:\w+ )?(?:text|messages?|rules|orders|directions)",
    r"anweisung(?:en)?|bewertungs\w+|kriterien|vorgaben|raster",
    "consignes?|crit[eè]res|bar[eè]me|grille",
    "instrucci(?:ón|ones)|criterios|r[uú]brica|indicaciones",
    "istruzioni|criteri|griglia|instruç(?:ão|ões)|critérios",
    r"instructies|beoordeling\w*|instrukcj\w+|kryteri\w+",
    r"инструкци\w+|критери\w+|рубрик\w+|указани\w+",
)
_GIVE: Final = _any(
    "give|award|assign|grant|grade|score|rate|return|output|mark (?:this|it|me|my)|(?:respond|reply|answer) with",
    "gib|vergib|geben sie|vergeben sie|bewerten?(?: sie)?",
    "donne[sz]?|attribue[sz]?|accorde[sz]?|mets|mettez|note[sz]?",
    "da|dé|dame|deme|otorg(?:a|ue)|asign(?:a|e)|pon(?:ga)?|califi(?:ca|que)",
    "dai|dammi|assegna|dê|dá|atribua|geef|daj|przyznaj",
    "поставь(?:те)?|дай(?:те)?|оцени(?:те)?",
)
_MARKS: Final = "(?:marks?|points?|scores?|grades?|credits?|ratings?)"
_BEST_MARKS: Final = _any(
    rf"(?:full|maximum|max|maximal|top|highest|best|perfect|100 ?%)[\"']?(?: \w+){{0,2}} (?:{_MARKS}|levels?)",
    rf"all (?:of )?(?:the )?(?:possible |available )?{_MARKS}|every point",
    rf"{_MARKS} (?:of|as) (?:\w+ )?(?:full|maximum|100|10|perfect)",
    r"(?:levels?|as) [\"']?(?:strong|excellent|outstanding|perfect)|10 ?/ ?10|100 ?/ ?100|100 ?%|an? a\+",
    r"(?:volle|maximale|höchste|beste|alle)[nrs]? (?:\w+ )?(?:punkt\w*|note|bewertung|stufe)",
    r"(?:note|points?|score) maxim\w+|tous les points|meilleure note|note la plus (?:haute|élevée)",
    r"(?:nota|puntuación|calificación|puntaje|pontuação) (?:máxima|más alta)|máxim[ao] (?:nota|puntuación|puntaje)",
    r"todos l?os (?:puntos|pontos)|(?:punteggio|voto) (?:massimo|pieno)|massimo (?:dei voti|punteggio)",
    r"(?:volle|maximale|hoogste) (?:\w+ )?(?:punten|score|cijfer)|(?:maksymaln|najwyższ)\w+ (?:punkt|ocen)\w*",
    r"(?:максимальн|высш)\w+ (?:балл|оценк)\w*",
)
_GRADER: Final = _any(
    r"grader|examiner|evaluator|assessor|marker|ai|a\.i\.|llm|(?:chat ?)?gpt|chatbot",
    "(?:large )?language model|(?:ai|grading|scoring) (?:model|assistant|system|engine|bot|software)",
    "automated grader|korrektor|prüfer|correcteur|corrector|valutatore|экзаменатор",
)
_PERSON: Final = "(?:grader|examiner|evaluator|assessor|marker)"
_OUGHT_TO: Final = _any(r"(?:is|are) \w+ ?\w* to", "must|should|shall|ha(?:s|ve) to")
_THIS_ANSWER: Final = r"\b(?:this|my|the (?:following|above)) (?:essay|answer|response|submission|text|solution)\b"
_EARNS: Final = _any(
    r"deserves?|should|must|merits?|earns?|has earned|is worth|gets?|receives?",
    r"meets?|fulfils?|satisf(?:y|ies)|reaches|achieves|qualifies",
)
_BOX: Final = "(?:essay|answer|submission|response|prompt|instructions?|system|rubric)"

_ORDERS: Final = (
    rf"{_ORDER_BEGINS}{_DROP}\b.{{0,60}}?\b{_RULES}\b",
    rf"{_ORDER_BEGINS}{_GIVE}\b.{{0,60}}?(?<!\w){_BEST_MARKS}(?!\w)",
    rf"{_THIS_ANSWER}.{{0,40}}\b{_EARNS}\b.{{0,40}}(?<!\w){_BEST_MARKS}(?!\w)",
    rf"{_THIS_ANSWER}.{{0,40}}\b{_EARNS}\b.{{0,20}} (?:all|every) (?:of )?(?:the )?criteri",
    rf"\b(?:the|any|every|all) {_PERSON}s? {_OUGHT_TO} {_GIVE}\b.{{0,40}}\b{_BEST_MARKS}(?!\w)",
    rf"^\W*(?:\w+ )?(?:instructions?|notes?|hints?) (?:for|to) (?:the |any |every |all )?{_PERSON}s?\W*(?::|$)",
    rf"(?:^|[.!?]\s*)(?:dear|attention|hey|hi|hello|note|message|important)(?: to| for)?[,:]? (?:\w+ )?{_GRADER}\b",
    rf"{_ORDER_BEGINS}as (?:the |an? |your )?{_GRADER}\b.{{1,60}}\b(?:you|your|must|please|give|award|ignore)\b",
    rf"\b(?:you are|you're|act as|behave as|pretend (?:to be|that you are))(?: \w+){{0,4}} {_GRADER}\b",
    r"\bfrom now on,? you (?:are|act|behave|must|grade)\b",
    r"\byour (?:new|real|actual|only) (?:task|role|instructions?|job|goal) (?:is|are)\b",
    r"^\W*(?:new|updated|revised|hidden|secret|system|admin) (?:instructions?|prompt|message|override)\W*(?::|$)",
    r"\b(?:developer|jailbreak|dan|god|debug) mode (?:is )?(?:on|enabled|activated)\b",
    rf"^\W*(?:end|begin|start)(?: of)?(?: the)?(?: student(?:'s)?)? {_BOX}\W*$",
    rf"</?{_BOX}>|<\|[\w ]{{1,30}}\|>|<\|?(?:im (?:start|end)|assistant|user)\b|\[/?inst\]|<</?sys>>",
    r"^\W*# ?(?:system|assistant|instructions?|response)\b\W*$",
    rf"^\W*(?:system|assistant|developer) ?: ?(?:$|.*\b(?:you|your|ignore|grad\w+|score|marks?|level|{_BOX})\b)",
    r"(?:忽略|无视|忘记|不要理会).{0,20}(?:指令|指示|评分|标准|提示|要求|规则)",
    r"(?:给|打|评).{0,12}(?:满分|最高分|最高等级)|(?:指示|指令|採点|基準).{0,12}(?:無視|忘れ)",
    r"(?:満点|最高点|最高評価).{0,12}(?:ください|つけ|与え)",
    r"(?:تجاهل|انس).{0,30}(?:التعليمات|المعايير)|(?:أعط|امنح).{0,30}(?:الدرجة الكاملة|أعلى درجة)",
    r"(?:talimat|yönerge|kriter|ölçüt)\w*.{0,20}(?:yok say|görmezden gel|dikkate alma|unut)|tam puan ver",
    r"(?:지시|지침|기준).{0,12}(?:무시|잊)|만점.{0,8}(?:주|부여)",
    r"निर्देश.{0,20}(?:अनदेखा|भूल)|पूरे अंक.{0,10}(?:दें|दीजिए)",
    r"[\"'](?:levels?|ratings?|criteri(?:on|a)|rationale|needs review|quotes)[\"'] ?:",
    r"(?:[\"'](?:scores?|points|grades?|confidence|feedback|evidence)[\"'] ?:.{0,80}?){2}",
)
_ORDER: Final = re.compile(_any(*_ORDERS))

_LOOKALIKES: Final = str.maketrans("асеорхуіјѕԁһԛԝАВСЕНІЈКМОРЅТХαεικνορτυχ", "aceopxyijsdhqwABCEHIJKMOPSTXaeikvoptux")
"""Cyrillic and Greek letters that pass for Latin ones."""
_DIGITS: Final = str.maketrans("01345", "oieas")
_DISGUISED: Final = re.compile(r"\b(?=[a-z0-9]*[a-z]{2})[a-z0-9]*[01345][a-z0-9]*\b")
"""A word with digits that pass for letters."""
_OPEN: Final = re.compile(r"[^.!?…:;\s]\s*$")


def addressed(sentences: Sequence[str]) -> list[bool]:
    """For each sentence or line of a text whether it addresses the grader, alone or with the line it runs on into."""
    found = [_is_order(each) for each in sentences]
    for place in range(len(sentences) - 1):
        pair = slice(place, place + 2)
        if not any(found[pair]) and _OPEN.search(sentences[place]) and _is_order(_run_on(*sentences[pair])):
            found[pair] = [True, True]
    return found


def _run_on(line: str, rest: str) -> str:
    """Two lines as one; a word that was broken at the end of the first becomes whole."""
    line = line.rstrip()
    return line[:-1] + rest if line.endswith("-") else f"{line} {rest}"


def _is_order(sentence: str) -> bool:
    plain = unicodedata.normalize("NFKC", sentence).replace("’", "'").replace("_", " ")
    if not plain.isascii():
        plain = re.sub(r"[^\W\d_]+", _unmixed, plain)
    plain = _DISGUISED.sub(lambda word: word.group().translate(_DIGITS), plain.casefold())
    return _ORDER.search(" ".join(plain.split())) is not None


def _unmixed(word: re.Match[str]) -> str:
    """A word that mixes Latin letters with lookalikes, in Latin ones."""
    letters = word.group()
    return letters if letters.isascii() or not re.search("[A-Za-z]", letters) else letters.translate(_LOOKALIKES)
