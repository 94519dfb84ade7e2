"""Recognises four languages by their most common words. Each has its stop words and its formula of reading ease.

The formulas are Flesch's reading ease and its adaptations; all have the form `base - a * ASL - b * ASW`, with ASL the
words in a sentence and ASW the syllables in a word. Other languages have no reading ease here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MIN_SHARE = 0.18  # the share of all words that must be stop words of a language
MIN_LEAD = 1.25  # over the second language
MIN_WORDS = 8


@dataclass(frozen=True)
class Language:
    """`formula` is (base, a, b); `source` is the publication of the formula."""

    code: str
    name: str
    formula: tuple[float, float, float]
    source: str
    stop_words: frozenset[str]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


ENGLISH = Language(
    "en", "English", (206.835, 1.015, 84.6),
    "Flesch, R. (1948), A new readability yardstick, Journal of Applied Psychology 32(3), 221-233",
    _set(
        """a about after again all also am an and any are as at be because been before being below between both but by
        can cannot could did do does doing done during each either else every few for from further get got had has have
        having he her here hers him his how however i i'd i'll i'm i've if in into is isn't it it's its itself just
        let's like me might more most much must my neither no nor not now of off on once one only or other our ours
        out over own per please same shall she should since so some still such than that that's the their theirs them
        then there these they they're this those though through to too two under until up upon us very was we we'll
        we're were what when where whether which while who whom whose why will with within without would yet you
        you're your yours don't doesn't didn't can't won't couldn't wasn't aren't haven't hasn't"""
    ),
)  # fmt: skip
GERMAN = Language(
    "de", "German", (180.0, 1.0, 58.5),
    "Amstad, T. (1978), Wie verständlich sind unsere Zeitungen?, dissertation, University of Zurich",
    _set(
        """aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim bereits bis bitte da
        dabei dafür damit danach dann daran darauf das dass dazu dem den denn der deren des dessen die dies diese
        diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines er erst es etwa etwas für
        gegen habe haben hat hatte hatten hier ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im immer in ins ist ja je
        jede jedem jeden jeder jedes jetzt kann kein keine keinem keinen keiner können könnte man mehr mein meine
        meinem meinen meiner mich mir mit muss müssen nach nicht nichts noch nun nur ob oder ohne schon sehr sei sein
        seine seinem seinen seiner seit selbst sich sie sind so sobald sofern solche soll sollen sollte sondern sowie
        über um und uns unser unsere unserem unseren unserer unter vom von vor war waren was weil weiter welche
        welcher wenn wer werden wie wieder will wir wird wo worden wurde wurden während zu zum zur zwei zwischen"""
    ),
)  # fmt: skip
FRENCH = Language(
    "fr", "French", (207.0, 1.015, 73.6),
    "Kandel, L. and Moles, A. (1958), Application de l'indice de Flesch à la langue française, "
    "Cahiers d'Études de Radio-Télévision 19, 253-274",
    _set(
        """à ai ainsi après as au aucun aucune aussi autre autres aux avant avec avez avoir avons c'est car ce ceci
        cela celle celles celui ces cet cette ceux chaque comme d'un d'une dans de depuis des deux doit doivent donc
        dont du elle elles en encore entre es est et étaient était être eu eux fait faire fois font il ils j'ai je
        jusqu'à l'on la là le les leur leurs lors lorsque lui ma mais me même mes moi moins mon n'a n'est ne ni non
        nos notre nous on ont ou où par pas pendant peu peut peuvent plus pour pourquoi puis qu'elle qu'il qu'ils
        qu'on qu'un qu'une quand que quel quelle quelques qui quoi s'il s'ils sa sans se sera seront ses si sien son
        sont sous sur ta te tes toi ton tous tout toute toutes très tu un une vers vos votre vous y"""
    ),
)  # fmt: skip
SPANISH = Language(
    "es", "Spanish", (206.835, 1.0, 62.3),
    "Szigriszt Pazos, F. (1993), Sistemas predictivos de legibilidad del mensaje escrito: fórmula de perspicuidad, "
    "doctoral thesis, Universidad Complutense de Madrid",
    _set(
        """a al algo alguna algunas alguno algunos ante antes aquel así aun aún aunque bajo bien cada casi como con
        contra cual cuales cualquier cuando cuanto de del desde después donde dos durante el él ella ellas ellos en
        entonces entre era eran es esa esas ese eso esos esta está están estas este esto estos fue fueron ha había
        hace hacer han hasta hay he la las le les lo los luego más me mi mientras mis misma mismo mucho muy nada ni no
        nos nosotros nuestra nuestras nuestro nuestros nunca os otra otras otro otros para pero poco por
        porque puede pueden pues que qué quien quienes se sea según ser será si sí siempre sin sino sobre solo son su
        sus también tan tanto te tiene tienen toda todas todo todos tras tu tus un una unas uno unos usted ustedes
        y ya yo"""
    ),
)  # fmt: skip
LANGUAGES = (ENGLISH, GERMAN, FRENCH, SPANISH)
# Common words of Italian, Portuguese, Dutch and the Scandinavian languages that none of the four languages has.
OTHER_LANGUAGES = _set(
    """il lo gli della delle dei degli di che è per non sono nel nella alla più con cui anche
    não uma um dos das em na nas ao com mas ele ela foi são muito você isso
    het een van niet zijn hij wij ik dat voor maar ook aan bij
    og och ikke inte det på av til för som jeg är var med har att"""
) - frozenset().union(*(language.stop_words for language in LANGUAGES))


def language_of(words: Sequence[str]) -> Language | None:
    """Find the language by the share of its stop words; None if no language leads clearly.

    `words` are lower-case. Words that only other languages have count against all four.
    """
    if len(words) < MIN_WORDS:
        return None
    against = sum(1 for word in words if word in OTHER_LANGUAGES)
    found = sorted(
        ((sum(1 for word in words if word in language.stop_words), language) for language in LANGUAGES),
        key=lambda pair: -pair[0],
    )
    (most, language), (second, _) = found[0], found[1]
    clear = most >= MIN_SHARE * len(words) and most >= MIN_LEAD * max(second, against)
    return language if clear else None
