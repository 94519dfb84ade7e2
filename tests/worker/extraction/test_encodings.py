"""Text of 30 languages in the encodings that people use for them."""

import pytest

from app.worker.extraction.encodings import charset_of, decode_text
from tests.worker.extraction.reading import read

TEXTS = {
    "fr": (
        "Le conseil a décidé que la réunion prévue à la fin du mois serait reportée. Où êtes-vous allé ? Les "
        "élèves très âgés ont été reçus.",
        ["cp1252", "iso8859-15"],
    ),
    "da": (
        "Aftalen træder i kraft på datoen for underskrivelsen. Køberen skal betale beløbet inden for tredive "
        "dage. Sælgeren påtager sig ansvaret.",
        ["cp1252"],
    ),
    "sv": (
        "Avtalet träder i kraft den dag det undertecknas. Köparen ska betala beloppet inom trettio dagar. "
        "Säljaren åtar sig ansvaret för förseningen.",
        ["cp1252"],
    ),
    "no": (
        "Avtalen trer i kraft på datoen for underskriften. Kjøperen skal betale beløpet innen tretti dager. "
        "Selgeren påtar seg ansvaret.",
        ["cp1252"],
    ),
    "fi": (
        "Sopimus tulee voimaan allekirjoituspäivänä. Ostajan on maksettava summa kolmenkymmenen päivän "
        "kuluessa. Myyjä vastaa viivästyksestä.",
        ["cp1252"],
    ),
    "de": (
        "Die Müllabfuhr kommt früh. Größere Mengen müssen für die Übergabe angemeldet werden – „später“ "
        "heißt: café à la carte.",
        ["cp1252"],
    ),
    "es": (
        "El niño comió piña mañana. ¿Cuándo llegará el señor? La información está aquí: años, España, según él.",
        ["cp1252"],
    ),
    "pt": (
        "O contrato entra em vigor na data da assinatura. As condições não são obrigatórias até à execução. "
        "A decisão é válida.",
        ["cp1252"],
    ),
    "it": (
        "Il contratto entra in vigore alla data della firma. La qualità è più alta perché c'è libertà. Così "
        "potrà pagare già lunedì.",
        ["cp1252"],
    ),
    "nl": (
        "De overeenkomst treedt in werking op de datum van ondertekening. Eén coördinator, financiële "
        "ideeën, België en het cliëntenbestand.",
        ["cp1252"],
    ),
    "is": (
        "Samningurinn öðlast gildi á undirskriftardegi. Kaupandinn skal greiða upphæðina innan þrjátíu daga. "
        "Seljandinn ber ábyrgð.",
        ["cp1252"],
    ),
    "pl": (
        "Zażółć gęślą jaźń. Łódź, Kraków i Gdańsk są pięknymi miastami; wszyscy mówią, że są najładniejsze.",
        ["cp1250", "iso8859-2"],
    ),
    "cs": (
        "Příliš žluťoučký kůň úpěl ďábelské ódy. Smlouva nabývá účinnosti dnem podpisu. Kupující zaplatí "
        "částku do třiceti dnů.",
        ["cp1250", "iso8859-2"],
    ),
    "sk": (
        "Zmluva nadobúda účinnosť dňom podpisu. Kupujúci zaplatí čiastku do tridsiatich dní. Predávajúci "
        "zodpovedá za škodu.",
        ["cp1250"],
    ),
    "hu": (
        "Árvíztűrő tükörfúrógép. A szerződés az aláírás napján lép hatályba. A vevő harminc napon belül "
        "köteles kifizetni az összeget.",
        ["cp1250", "iso8859-2"],
    ),
    "ro": (
        "Contractul intră în vigoare la data semnării. Cumpărătorul plăteşte suma în termen de treizeci de "
        "zile. Vânzătorul răspunde.",
        ["cp1250"],
    ),
    "hr": (
        "Ugovor stupa na snagu danom potpisivanja. Kupac će platiti iznos u roku od trideset dana. Prodavač "
        "odgovara za štetu, češće žurno.",
        ["cp1250"],
    ),
    "tr": (
        "Sözleşme imza tarihinde yürürlüğe girer. Alıcı tutarı otuz gün içinde ödeyecektir. Satıcı "
        "gecikmeden sorumludur, değişiklik yapılmış.",
        ["cp1254", "iso8859-9"],
    ),
    "lt": (
        "Sutartis įsigalioja jos pasirašymo dieną. Pirkėjas privalo sumokėti sumą per trisdešimt dienų. "
        "Pardavėjas atsako už vėlavimą.",
        ["cp1257"],
    ),
    "lv": (
        "Līgums stājas spēkā parakstīšanas dienā. Pircējam jāsamaksā summa trīsdesmit dienu laikā. Pārdevējs "
        "atbild par kavējumu.",
        ["cp1257"],
    ),
    "ru": (
        "Настоящий договор вступает в силу с момента подписания. Покупатель обязан уплатить сумму.",
        ["cp1251", "koi8-r", "iso8859-5", "cp866"],
    ),
    "uk": (
        "Цей договір набирає чинності з моменту підписання. Покупець зобов'язаний сплатити суму протягом "
        "тридцяти днів.",
        ["cp1251", "koi8-u"],
    ),
    "bg": (
        "Настоящият договор влиза в сила от датата на подписването му. Купувачът е длъжен да плати сумата.",
        ["cp1251"],
    ),
    "el": (
        "Η παρούσα σύμβαση τίθεται σε ισχύ από την ημερομηνία υπογραφής. Ο αγοραστής καταβάλλει το ποσό.",
        ["cp1253", "iso8859-7"],
    ),
    "he": (
        "הסכם זה נכנס לתוקף ביום חתימתו. הקונה ישלם את הסכום בתוך שלושים יום.",
        ["cp1255"],
    ),
    "ar": (
        "يدخل هذا العقد حيز التنفيذ من تاريخ توقيعه. يدفع المشتري المبلغ خلال ثلاثين يوما.",
        ["cp1256"],
    ),
    "th": (
        "สัญญานี้มีผลบังคับใช้ตั้งแต่วันที่ลงนาม ผู้ซื้อต้องชำระเงินภายในสามสิบวัน",
        ["cp874"],
    ),
    "ja": (
        "この契約は署名の日から効力を生じます。買主は三十日以内に代金を支払うものとします。",
        ["shift_jis", "euc_jp", "iso2022_jp"],
    ),
    "zh": (
        "本合同自签字之日起生效。付款应在三十天内完成。卖方承担责任。",
        ["gb18030"],
    ),
    "zh-t": (
        "本合約自簽字之日起生效。付款應在三十天內完成。賣方承擔責任。",
        ["big5"],
    ),
    "ko": (
        "이 계약은 서명한 날부터 효력이 발생합니다. 매수인은 삼십일 이내에 대금을 지급해야 합니다.",
        ["euc_kr"],
    ),
}
ENCODED = [(language, encoding) for language, (_, encodings) in TEXTS.items() for encoding in encodings]
MIN_RIGHT_SHARE = 0.95


@pytest.mark.parametrize("repeated", [1, 4])
def test_undeclared_encodings_are_found(repeated: int) -> None:
    wrong = []
    for language, encoding in ENCODED:
        content = (TEXTS[language][0] * repeated).encode(encoding, "replace")
        if decode_text(content)[0] != content.decode(encoding):
            wrong.append((language, encoding, decode_text(content)[1]))
    assert len(wrong) <= len(ENCODED) * (1 - MIN_RIGHT_SHARE), wrong
    assert {language for language, _, _ in wrong}.isdisjoint({"fr", "da", "de", "es", "it", "pl"})


@pytest.mark.parametrize("language", ["fr", "ru", "el", "he", "cs"])
def test_utf_16_without_a_mark_is_found(language: str) -> None:
    text = TEXTS[language][0]
    assert read(text.encode("utf-16-le")).text == text
    assert read(text.encode("utf-16-be")).text == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Grüße", "cp1252"), ("10 €", "cp1252"), ("naïve café", "cp1252"), ("It’s “here”", "cp1252"),
        ("Müller;1.234,50", "cp1252"), ("señor", "cp1252"), ("La città è più bella", "cp1252"),
        ("été à côté là-haut où", "cp1252"), ("Æble, øl og kød på bordet", "cp1252"), ("10 €", "iso8859-15"),
        ("Łódź", "cp1250"), ("Kraków Łódź Gdańsk", "cp1250"), ("Договор", "cp1251"), ("Договор", "koi8-r"),
        ("この契約", "shift_jis"), ("本合同", "gb18030"),
    ],
)  # fmt: skip
def test_a_few_letters_are_enough(text: str, encoding: str) -> None:
    assert decode_text(text.encode(encoding))[0] == text


@pytest.mark.parametrize(
    ("label", "content", "text"),
    [
        ("iso-8859-1", b"We\x92re \x93here\x94 \x96 10 \x80", "We’re “here” – 10 €"),
        ("us-ascii", b"We\x92re here", "We’re here"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", "Grüße".encode(), "Grüße"),
        ("gb2312", "朱镕基".encode("gbk"), "朱镕基"),
        ("ks_c_5601-1987", "똠방각하".encode("cp949"), "똠방각하"),
        ("x-sjis", "①髙".encode("cp932"), "①髙"),
        ("utf-8", b"caf\xe9 \xe0 la carte", "café à la carte"),
        ("utf-8", "Größe, Übergabe, Prüfung".encode() + b"\xff", "Größe, Übergabe, Prüfung\ufffd"),
        ("klingon", "Grüße".encode(), "Grüße"),
    ],
)
def test_a_label_means_what_browsers_make_of_it(label: str, content: bytes, text: str) -> None:
    assert read(content, media_type=f"text/plain; charset={label}").text == text
    assert read(b"<p>" + content + b"</p>", media_type=f"text/html; charset={label}").text == text


def test_a_label_that_is_no_encoding_of_text_is_unknown() -> None:
    assert charset_of("charset=base64") is None
    assert charset_of('boundary=x; charset="UTF-8"') == "utf-8"


def test_control_characters_are_no_text() -> None:
    log = b"\x1b[31mred\x1b[0m\r\nbell\x07 back\x08space\x7f\x0b\x1b]0;title\x07end" + b" of the line" * 30
    assert read(log).text == "red\nbell backspace\nend" + " of the line" * 30
    assert read("a\u0085b\u009fc\ufeff\ufffed\u2028e".encode()).text == "a\nbcd\ne"
