"""The French of the embedded translation corpus, checked by tables written here and not by the grammar's own."""

from __future__ import annotations

import re

import pytest

from tasks.embedded import SPLITS, rows
from tasks.embedded.french import AVOIR, ETRE, joined, regular
from tasks.embedded.french_words import ADJECTIVES, GO, MOODS, NOUNS, TRANSITIVE
from tasks.embedded.grammar import Draw
from tasks.embedded.readings import Reading, all_readings
from tasks.embedded.translation import pair

_MASCULINE = """
homme garçon enfant roi médecin policier frère père oncle cousin chat chien cheval oiseau lapin canard gâteau
œuf ananas pain fromage riz lait café thé vin livre journal roman poème sac chapeau manteau parapluie
téléphone ordinateur verre couteau crayon cadeau miroir lit fauteuil camion bateau vélo avion train jardin
bureau château parc village musée hôtel marché restaurant hôpital pont
"""
MASCULINE = _MASCULINE.split()
_FEMININE = """
femme fille reine sœur mère tante vache poule souris tortue pomme orange poire tomate carotte soupe viande
salade eau bière lettre histoire clé boîte robe chemise chaussure montre lampe tasse assiette bouteille bague
fleur chaise table porte fenêtre voiture maison cuisine chambre église école gare plage bibliothèque ville île
"""
FEMININE = _FEMININE.split()
PLURALS = {"cheval": "chevaux", "journal": "journaux", "hôpital": "hôpitaux", "souris": "souris", "ananas": "ananas"}
# masculine, feminine, masculine plural, feminine plural
FORMS = [
    line.split()
    for line in """petit petite petits petites
grand grande grands grandes
beau belle beaux belles
vieux vieille vieux vieilles
nouveau nouvelle nouveaux nouvelles
jeune jeune jeunes jeunes
joli jolie jolis jolies
bon bonne bons bonnes
mauvais mauvaise mauvais mauvaises
rouge rouge rouges rouges
vert verte verts vertes
bleu bleue bleus bleues
noir noire noirs noires
blanc blanche blancs blanches
gris grise gris grises
lourd lourde lourds lourdes
cher chère chers chères
sale sale sales sales
cassé cassée cassés cassées
frais fraîche frais fraîches
froid froide froids froides
chaud chaude chauds chaudes
délicieux délicieuse délicieux délicieuses
italien italienne italiens italiennes
français française français françaises
intéressant intéressante intéressants intéressantes
étrange étrange étranges étranges
tranquille tranquille tranquilles tranquilles
riche riche riches riches
célèbre célèbre célèbres célèbres
fatigué fatiguée fatigués fatiguées
heureux heureuse heureux heureuses
triste triste tristes tristes
malade malade malades malades
occupé occupée occupés occupées
prêt prête prêts prêtes
seul seule seuls seules
surpris surprise surpris surprises
inquiet inquiète inquiets inquiètes
jaloux jalouse jaloux jalouses
fier fière fiers fières""".splitlines()
]
BEFORE_VOWEL = {"bel": "beau", "vieil": "vieux", "nouvel": "nouveau"}
VOWEL = "aeiouyhéêèœâîô"
MASCULINE_DETERMINERS = {"le", "un", "ce", "cet", "du", "au"}
FEMININE_DETERMINERS = {"la", "une", "cette", "ma", "ta", "sa"}
SINGULAR_ONLY = MASCULINE_DETERMINERS | FEMININE_DETERMINERS | {"mon", "ton", "son", "notre", "votre", "leur"}
_MANY = "les des ces mes tes ses nos vos leurs aux deux trois quatre cinq dix plusieurs"
PLURAL_DETERMINERS = set(_MANY.split())
SUBJECTS = {"je", "tu", "il", "elle", "nous", "vous", "ils", "elles"}
CLITICS = {"ne", "n'", "me", "m'", "te", "t'", "le", "la", "l'", "les", "lui", "leur", "nous", "vous", "y"}


def plural_of(noun: str) -> str:
    if noun in PLURALS:
        return PLURALS[noun]
    return noun + ("x" if noun.endswith("eau") else "s")


def noun_forms() -> dict[str, tuple[bool, set[bool]]]:
    """Form of a noun: whether it is feminine, and whether it can be singular (False), plural (True) or both."""
    found: dict[str, tuple[bool, set[bool]]] = {}
    for feminine, nouns in ((False, MASCULINE), (True, FEMININE)):
        for noun in nouns:
            for many, form in ((False, noun), (True, plural_of(noun))):
                found.setdefault(form, (feminine, set()))[1].add(many)
    return found


def adjective_forms() -> dict[str, set[tuple[bool, bool]]]:
    found: dict[str, set[tuple[bool, bool]]] = {}
    for forms in FORMS:
        for at, form in enumerate(forms):
            found.setdefault(form, set()).add((at % 2 == 1, at >= 2))
    for form in BEFORE_VOWEL:
        found[form] = {(False, False)}
    return found


NOUN_FORMS, ADJECTIVE_FORMS = noun_forms(), adjective_forms()


def cut(sentence: str) -> list[str]:
    """Words in lower case; an elided word keeps its apostrophe and stands alone."""
    return re.findall(r"[^\W\d_]+'|[\w-]+|[.,?]", sentence.lower())


def translations() -> list[str]:
    found = []
    for split in SPLITS:
        for row in rows("translation", split):
            found += row.get("refs", [row["tgt"]])
    return found


def phrases(words: list[str]) -> list[tuple[list[str], str, list[str]]]:
    """Each noun of a sentence with what stands before it (determiner first, adjectives) and the adjectives after."""
    found = []
    for at, word in enumerate(words):
        verb = word in ("montre", "montres", "lit") and at and words[at - 1] in CLITICS | SUBJECTS
        if word not in NOUN_FORMS or verb:
            continue
        start = at
        while start and words[start - 1] in ADJECTIVE_FORMS:
            start -= 1
        end = at + 1
        while end < len(words) and words[end] in ADJECTIVE_FORMS:
            end += 1
        found.append((words[max(0, start - 1) : at], word, words[at + 1 : end]))
    return found


def test_lexicon_is_covered_by_the_tables() -> None:
    assert {noun.fr for noun in NOUNS} == set(MASCULINE) | set(FEMININE)
    assert {noun.fr for noun in NOUNS if noun.feminine} == set(FEMININE)
    assert {noun.fr_plural for noun in NOUNS if not noun.mass} <= set(NOUN_FORMS)
    assert {form for adjective in (*ADJECTIVES, *MOODS) for form in adjective.forms} == {
        form for row in FORMS for form in row
    }


def test_determiners_and_adjectives_agree_with_their_nouns() -> None:
    checked = 0
    for sentence in translations():
        for before, noun, after in phrases(cut(sentence)):
            feminine, numbers = NOUN_FORMS[noun]
            determiner, leading = before[0], before[1:]
            if determiner in PLURAL_DETERMINERS:
                numbers = numbers & {True}
            elif determiner in SINGULAR_ONLY or determiner == "l'":
                numbers = numbers & {False}
            assert numbers, sentence
            follows = (leading[0] if leading else noun)[0]
            if determiner in FEMININE_DETERMINERS:
                assert feminine, sentence
            elif determiner in MASCULINE_DETERMINERS:
                assert not feminine, sentence
            if determiner in ("mon", "ton", "son") and feminine:
                assert follows in VOWEL, sentence
            if determiner in ("ce", "cet") and not feminine:
                assert (determiner == "cet") == (follows in VOWEL), sentence
            for adjective in (*leading, *after):
                assert any((feminine, many) in ADJECTIVE_FORMS[adjective] for many in numbers), sentence
            if leading and leading[-1] in ("beau", "vieux", "nouveau", *BEFORE_VOWEL) and False in numbers:
                vowel = noun[0] in VOWEL
                assert (leading[-1] in BEFORE_VOWEL) == vowel or True in numbers, sentence
            checked += 1
    assert checked > 4000


def test_predicates_agree_with_their_subjects() -> None:
    be = r"(?:n'|ne )?(?:est|sont|était|étaient|sera|seront)(?: pas)?(?: très| plus| aussi)?"
    checked = 0
    for sentence in translations():
        found = re.search(rf"(?:^|que |qu'|parce qu')(il|elle|ils|elles) {be} (\w+)\b", sentence, re.IGNORECASE)
        if found and found[2] in ADJECTIVE_FORMS:
            pronoun = found[1].lower()
            assert (pronoun.startswith("elle"), pronoun.endswith("s")) in ADJECTIVE_FORMS[found[2]], sentence
            checked += 1
        noun = re.match(rf"(?:L'|\w+ )(\w+) ({be}) (\w+)\.$", sentence)
        if noun and noun[1] in NOUN_FORMS and noun[3] in ADJECTIVE_FORMS:
            feminine, numbers = NOUN_FORMS[noun[1]]
            many = bool(re.search(r"sont|étaient|seront", noun[2]))
            assert many in numbers, sentence
            assert (feminine, many) in ADJECTIVE_FORMS[noun[3]], sentence
            checked += 1
    assert checked > 500


def test_pronouns_agree_with_their_antecedents() -> None:
    """`J'ai acheté la clé, mais je ne l'ai pas gardée`: the participle has the gender of the first clause's noun."""
    checked = 0
    for sentence in translations():
        halves = re.split(r", mais | et ", sentence.rstrip("."))
        if len(halves) != 2 or not (
            found := re.search(r"(l'|les )(?:ai|as|a|avons|avez|ont)(?: pas)? (\w+)$", halves[1])
        ):
            continue
        nouns = [word for word in cut(halves[0]) if word in NOUN_FORMS]
        feminine, numbers = NOUN_FORMS[nouns[-1]]
        many = found[1] == "les "
        assert many in numbers, sentence
        bare = found[2].removesuffix("s") if many and not found[2].endswith("is") else found[2]
        assert bare.endswith("e") == feminine, sentence
        assert not many or found[2].endswith("s"), sentence
        checked += 1
    assert checked > 200


ENDINGS = {
    "je": r"(?:e|s|x|ai)$",
    "j'": r"(?:e|s|x|ai)$",
    "tu": r"(?:s|x)$",
    "il": r"(?:e|a|t|d)$",
    "elle": r"(?:e|a|t|d)$",
    "nous": r"(?:ons|sommes)$",
    "vous": r"(?:ez|êtes|dites)$",
    "ils": r"(?:ent|ont)$",
    "elles": r"(?:ent|ont)$",
}


def test_verbs_agree_with_pronoun_subjects() -> None:
    checked = 0
    for sentence in translations():
        words = cut(sentence)
        for at, word in enumerate(words[:-1]):
            starts = at == 0 or words[at - 1] in (",", "que", "qu'", "et", "mais")
            if word not in ENDINGS or not starts:
                continue
            rest = [each for each in words[at + 1 :] if each not in CLITICS]
            if rest[0] in ".," or "-" in rest[0]:  # the end of a comparison; a question's object
                continue
            assert re.search(ENDINGS[word], rest[0]), (sentence, rest[0])
            checked += 1
    assert checked > 2000


def test_spelling() -> None:
    for sentence in translations():
        lower = sentence.lower()
        assert not re.search(rf"\b(?:je|le|la|de|ne|que|me|te) [{VOWEL}]", lower), sentence
        assert not re.search(r"\b(?:de|à) les? ", lower), sentence
        assert re.search(r"[^ ]\.$|[^ ] \?$", sentence), sentence
        assert sentence[0].isupper(), sentence
        assert not re.search(r" [.,]|\s\s|[ae]-(?:il|elle)", sentence), sentence


def test_negation_has_both_halves() -> None:
    for sentence in translations():
        words = cut(sentence)
        halves = sum(word in ("ne", "n'") for word in words), sum(word in ("pas", "jamais") for word in words)
        more = words.count("plus")  # also `plus grand que`
        assert halves[0] - halves[1] in range(more + 1), sentence
        assert not re.search(r"\b(?:pas|jamais) (?:un|une|des|du) ", sentence), sentence


def test_english_side() -> None:
    for split in SPLITS:
        for row in rows("translation", split):
            src = row["src"]
            assert 4 <= src.count(" ") + 1 <= 14
            assert src[0].isupper()
            assert src[-1] in ".?"
            assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", src), src
            assert (src[-1] == "?") == row["tgt"].endswith(" ?")
            if src[-1] == ".":
                assert not re.search(r"^(?:He|She|Tom|Marie|Paul|Anna|Lucas|Emma) (?:do|have|are|were|want)\b", src), (
                    src
                )
                assert not re.search(r"^(?:We|They|You) (?:does|has|is|was|wants|am)\b", src), src


def test_references() -> None:
    several = 0
    for split in ("valid", "test"):
        for row in rows("translation", split):
            refs = row["refs"]
            assert refs[0] == row["tgt"]
            assert len(set(refs)) == len(refs)
            several += len(refs) > 1
            if re.search(r"\b[Yy]ou\b|\b[Yy]our\b", row["src"]):
                words = [set(cut(ref.replace("-", " "))) for ref in refs]
                assert any(each & {"tu", "te", "t'", "toi", "ton", "ta", "tes"} for each in words), refs
                assert any(each & {"vous", "votre", "vos"} for each in words), refs
    assert several > 250


def test_all_readings_hold_any_random_one() -> None:
    draw = Draw(3)
    for _ in range(200):
        _, realise = pair(draw)
        everything = set(all_readings(realise))
        assert {realise(Reading(draw=draw)) for _ in range(6)} <= everything


@pytest.mark.parametrize(
    ("verb", "tense", "person", "form"),
    [
        ("acheter", "present", 0, "achète"),
        ("acheter", "present", 3, "achetons"),
        ("acheter", "future", 2, "achètera"),
        ("manger", "present", 3, "mangeons"),
        ("manger", "imperfect", 3, "mangions"),
        ("manger", "imperfect", 5, "mangeaient"),
        ("nettoyer", "present", 5, "nettoient"),
        ("nettoyer", "future", 0, "nettoierai"),
        ("voir", "future", 3, "verrons"),
        ("boire", "present", 5, "boivent"),
        ("prendre", "present", 5, "prennent"),
        ("appeler", "present", 1, "appelles"),
        ("écrire", "imperfect", 4, "écriviez"),
        ("conduire", "present", 4, "conduisez"),
    ],
)
def test_conjugation(verb: str, tense: str, person: int, form: str) -> None:
    known = {action.fr.infinitive: action.fr for action in TRANSITIVE}
    assert known[verb].conjugated(tense, person) == form


def test_auxiliaries_participles_and_contractions() -> None:
    assert [ETRE.conjugated("imperfect", person) for person in (0, 3)] == ["étais", "étions"]
    assert [AVOIR.conjugated("future", person) for person in (1, 5)] == ["auras", "auront"]
    assert GO.fr.agreed_participle(True, True) == "allées"
    assert regular("chanter").agreed_participle(False, True) == "chantés"
    assert joined("il ne aime pas la eau de le hôtel") == "il n'aime pas l'eau de l'hôtel"
    assert joined("elle parle à les enfants de le roi parce que il y a de les fleurs") == (
        "elle parle aux enfants du roi parce qu'il y a des fleurs"
    )
