"""The lexicon of the translation grammar: nouns, adjectives and verbs of both languages, with what goes with what."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.embedded.french import Noun, Verb, adjective, irregular, regular

# English | its plural (none: a mass noun) | French | its plural | gender | tags
_NOUNS = """
man|men|homme|hommes|m|person male
woman|women|femme|femmes|f|person female
boy|boys|garçon|garçons|m|person male
girl|girls|fille|filles|f|person female
child|children|enfant|enfants|m|person male
king|kings|roi|rois|m|person male
queen|queens|reine|reines|f|person female
doctor|doctors|médecin|médecins|m|person male
policeman|policemen|policier|policiers|m|person male
brother|brothers|frère|frères|m|kin male
sister|sisters|sœur|sœurs|f|kin female
mother|mothers|mère|mères|f|kin female one
father|fathers|père|pères|m|kin male one
uncle|uncles|oncle|oncles|m|kin male
aunt|aunts|tante|tantes|f|kin female
cousin|cousins|cousin|cousins|m|kin male
cat|cats|chat|chats|m|animal
dog|dogs|chien|chiens|m|animal
horse|horses|cheval|chevaux|m|animal
bird|birds|oiseau|oiseaux|m|animal
cow|cows|vache|vaches|f|animal
hen|hens|poule|poules|f|animal
rabbit|rabbits|lapin|lapins|m|animal
mouse|mice|souris|souris|f|animal
duck|ducks|canard|canards|m|animal
turtle|turtles|tortue|tortues|f|animal
apple|apples|pomme|pommes|f|food
orange|oranges|orange|oranges|f|food
pear|pears|poire|poires|f|food
tomato|tomatoes|tomate|tomates|f|food
cake|cakes|gâteau|gâteaux|m|food cooked
egg|eggs|œuf|œufs|m|food
carrot|carrots|carotte|carottes|f|food
pineapple|pineapples|ananas|ananas|m|food
bread||pain||m|food
cheese||fromage||m|food
soup||soupe||f|food warm cooked
meat||viande||f|food warm cooked
rice||riz||m|food warm cooked
salad||salade||f|food cooked
water||eau||f|drink
milk||lait||m|drink
coffee||café||m|drink warm cooked
tea||thé||m|drink warm cooked
wine||vin||m|drink
beer||bière||f|drink
book|books|livre|livres|m|read thing
letter|letters|lettre|lettres|f|read written thing
newspaper|newspapers|journal|journaux|m|read thing
story|stories|histoire|histoires|f|read written
novel|novels|roman|romans|m|read written
poem|poems|poème|poèmes|m|read written
key|keys|clé|clés|f|thing
box|boxes|boîte|boîtes|f|thing opens holds
bag|bags|sac|sacs|m|thing opens holds
hat|hats|chapeau|chapeaux|m|thing worn
shirt|shirts|chemise|chemises|f|thing worn
dress|dresses|robe|robes|f|thing worn
coat|coats|manteau|manteaux|m|thing worn
shoe|shoes|chaussure|chaussures|f|thing worn
umbrella|umbrellas|parapluie|parapluies|m|thing
telephone|telephones|téléphone|téléphones|m|thing machine
watch|watches|montre|montres|f|thing machine
lamp|lamps|lampe|lampes|f|thing machine fragile
computer|computers|ordinateur|ordinateurs|m|thing machine
glass|glasses|verre|verres|m|thing fragile
cup|cups|tasse|tasses|f|thing fragile
plate|plates|assiette|assiettes|f|thing fragile
bottle|bottles|bouteille|bouteilles|f|thing fragile opens
knife|knives|couteau|couteaux|m|thing
ring|rings|bague|bagues|f|thing
pencil|pencils|crayon|crayons|m|thing
gift|gifts|cadeau|cadeaux|m|thing opens
flower|flowers|fleur|fleurs|f|thing
mirror|mirrors|miroir|miroirs|m|thing fragile
chair|chairs|chaise|chaises|f|furniture top
table|tables|table|tables|f|furniture top
bed|beds|lit|lits|m|furniture top
armchair|armchairs|fauteuil|fauteuils|m|furniture top
door|doors|porte|portes|f|opens
window|windows|fenêtre|fenêtres|f|opens fragile
car|cars|voiture|voitures|f|vehicle holds
truck|trucks|camion|camions|m|vehicle
boat|boats|bateau|bateaux|m|vehicle
bicycle|bicycles|vélo|vélos|m|vehicle
plane|planes|avion|avions|m|flies
train|trains|train|trains|m|flies
house|houses|maison|maisons|f|place inside home building
garden|gardens|jardin|jardins|m|place inside
kitchen|kitchens|cuisine|cuisines|f|inside room
bedroom|bedrooms|chambre|chambres|f|inside room
office|offices|bureau|bureaux|m|inside room
castle|castles|château|châteaux|m|place inside visited building
park|parks|parc|parcs|m|place inside
village|villages|village|villages|m|place inside visited
church|churches|église|églises|f|place visited building
museum|museums|musée|musées|m|place at visited building
school|schools|école|écoles|f|place at building rated
hotel|hotels|hôtel|hôtels|m|place at building rated
station|stations|gare|gares|f|place at building
market|markets|marché|marchés|m|place at
beach|beaches|plage|plages|f|place at
restaurant|restaurants|restaurant|restaurants|m|place at building rated
library|libraries|bibliothèque|bibliothèques|f|place at building
hospital|hospitals|hôpital|hôpitaux|m|place at building
bridge|bridges|pont|ponts|m|place visited
city|cities|ville|villes|f|visited
island|islands|île|îles|f|visited
"""


def _noun(line: str) -> Noun:
    en, en_plural, fr, fr_plural, gender, tags = line.split("|")
    return Noun(en, en_plural, fr, fr_plural, gender == "f", frozenset(tags.split()))


NOUNS = tuple(_noun(line) for line in _NOUNS.strip().splitlines())


def tagged(tags: str) -> tuple[Noun, ...]:
    """The nouns with any of the tags."""
    return tuple(noun for noun in NOUNS if not noun.tags.isdisjoint(tags.split()))


ADJECTIVES = (
    adjective("small", "petit", "petite", "animal food thing furniture vehicle place inside opens", leads=True),
    adjective("little", "petit", "petite", "person", leads=True),
    adjective("big", "grand", "grande", "thing furniture vehicle place inside visited opens", leads=True),
    adjective("tall", "grand", "grande", "person", leads=True),
    adjective("beautiful", "beau", "belle", "animal worn place visited vehicle female", before="bel", leads=True),
    adjective(
        "old", "vieux", "vieille", "person animal thing furniture vehicle place read", before="vieil", leads=True
    ),
    adjective("new", "nouveau", "nouvelle", "thing vehicle place read furniture", before="nouvel", leads=True),
    adjective("young", "jeune", "jeune", "person", leads=True),
    adjective("pretty", "joli", "jolie", "place visited worn inside", leads=True),
    adjective("good", "bon", "bonne", "food drink read rated", leads=True),
    adjective("bad", "mauvais", "mauvaise", "food drink read rated", leads=True),
    adjective("red", "rouge", "rouge", "thing vehicle furniture opens"),
    adjective("green", "vert", "verte", "thing vehicle furniture opens"),
    adjective("blue", "bleu", "bleue", "thing vehicle furniture opens"),
    adjective("black", "noir", "noire", "thing vehicle animal"),
    adjective("white", "blanc", "blanche", "thing vehicle animal"),
    adjective("gray", "gris", "grise", "thing vehicle animal"),
    adjective("heavy", "lourd", "lourde", "thing furniture"),
    adjective("expensive", "cher", "chère", "thing vehicle"),
    adjective("dirty", "sale", "sale", "thing vehicle furniture room"),
    adjective("broken", "cassé", "cassée", "fragile machine"),
    adjective("fresh", "frais", "fraîche", "food"),
    adjective("cold", "froid", "froide", "warm drink"),
    adjective("hot", "chaud", "chaude", "warm"),
    adjective("delicious", "délicieux", "délicieuse", "food"),
    adjective("Italian", "italien", "italienne", "food vehicle read worn"),
    adjective("French", "français", "française", "food vehicle read worn"),
    adjective("interesting", "intéressant", "intéressante", "read visited"),
    adjective("strange", "étrange", "étrange", "read visited animal"),
    adjective("quiet", "tranquille", "tranquille", "place inside"),
    adjective("rich", "riche", "riche", "person"),
    adjective("famous", "célèbre", "célèbre", "person visited"),
)
# What people are for a time.
MOODS = (
    adjective("tired", "fatigué", "fatiguée", ""),
    adjective("happy", "heureux", "heureuse", ""),
    adjective("sad", "triste", "triste", ""),
    adjective("sick", "malade", "malade", ""),
    adjective("busy", "occupé", "occupée", ""),
    adjective("ready", "prêt", "prête", ""),
    adjective("alone", "seul", "seule", ""),
    adjective("surprised", "surpris", "surprise", ""),
    adjective("worried", "inquiet", "inquiète", ""),
    adjective("jealous", "jaloux", "jalouse", ""),
    adjective("proud", "fier", "fière", ""),
)
# "be ..." in English, "avoir ..." in French.
HAVING = (("hungry", "faim"), ("thirsty", "soif"), ("right", "raison"), ("wrong", "tort"), ("afraid", "peur"))
COMPARED = (
    ("taller", "tall", adjective("tall", "grand", "grande", "")),
    ("smaller", "small", adjective("small", "petit", "petite", "")),
    ("older", "old", adjective("old", "vieux", "vieille", "")),
    ("younger", "young", adjective("young", "jeune", "jeune", "")),
    ("stronger", "strong", adjective("strong", "fort", "forte", "")),
    ("richer", "rich", adjective("rich", "riche", "riche", "")),
    ("happier", "happy", adjective("happy", "heureux", "heureuse", "")),
    ("more patient", "patient", adjective("patient", "patient", "patiente", "")),
    ("more famous", "famous", adjective("famous", "célèbre", "célèbre", "")),
)


@dataclass(frozen=True)
class Action:
    """A verb of both languages, with the tags of the nouns it takes as its object."""

    en: str
    fr: Verb
    objects: tuple[Noun, ...] = ()
    moves: bool = False  # takes a place it goes to


def _do(en: str, fr: Verb, objects: str = "") -> Action:
    return Action(en, fr, tagged(objects))


ECRIRE = irregular("écrire", "écris écris écrit écrivons écrivez écrivent", "écrit", "écrir")
LIRE = irregular("lire", "lis lis lit lisons lisez lisent", "lu", "lir")
VENDRE = irregular("vendre", "vends vends vend vendons vendez vendent", "vendu", "vendr")
ATTENDRE = irregular("attendre", "attends attends attend attendons attendez attendent", "attendu", "attendr")
CHOISIR = irregular("choisir", "choisis choisis choisit choisissons choisissez choisissent", "choisi", "choisir")
NOURRIR = irregular("nourrir", "nourris nourris nourrit nourrissons nourrissez nourrissent", "nourri", "nourrir")
TRANSITIVE = (
    _do("see", irregular("voir", "vois vois voit voyons voyez voient", "vu", "verr"),
    "person kin animal vehicle place thing"),
    _do("look for", regular("chercher"), "person kin animal thing"),
    _do("find", regular("trouver"), "animal thing"),
    _do("lose", irregular("perdre", "perds perds perd perdons perdez perdent", "perdu", "perdr"), "thing"),
    _do("buy", regular("acheter"), "thing food vehicle furniture drink read"),
    _do("sell", VENDRE, "thing vehicle furniture home animal"),
    _do("eat", regular("manger"), "food"),
    _do("drink", irregular("boire", "bois bois boit buvons buvez boivent", "bu", "boir"), "drink"),
    _do("read", LIRE, "read"),
    _do("write", ECRIRE, "written"),
    _do("open", irregular("ouvrir", "ouvre ouvres ouvre ouvrons ouvrez ouvrent", "ouvert", "ouvrir"), "opens"),
    _do("close", regular("fermer"), "opens"),
    _do("wash", regular("laver"), "worn vehicle fragile"),
    _do("clean", regular("nettoyer"), "room furniture vehicle"),
    _do("hide", regular("cacher"), "thing"),
    _do("break", regular("casser"), "fragile machine"),
    _do("draw", regular("dessiner"), "animal visited furniture"),
    _do("repair", regular("réparer"), "vehicle machine"),
    _do("visit", regular("visiter"), "visited"),
    _do("look at", regular("regarder"), "animal person thing vehicle"),
    _do("listen to", regular("écouter"), "person kin"),
    _do("wait for", ATTENDRE, "person kin flies"),
    _do("help", regular("aider"), "person kin"),
    _do("call", irregular("appeler", "appelle appelles appelle appelons appelez appellent", "appelé", "appeller"),
    "kin person"),
    _do("choose", CHOISIR, "thing food read vehicle"),
    _do("prepare", regular("préparer"), "cooked"),
    _do("drive", irregular("conduire", "conduis conduis conduit conduisons conduisez conduisent", "conduit",
    "conduir"), "vehicle"),
    _do("forget", regular("oublier"), "thing"),
    _do("bring", regular("apporter"), "thing food drink"),
    _do("take", irregular("prendre", "prends prends prend prenons prenez prennent", "pris", "prendr"), "thing flies"),
    _do("keep", regular("garder"), "thing animal"),
    _do("follow", irregular("suivre", "suis suis suit suivons suivez suivent", "suivi", "suivr"),
    "person vehicle animal"),
    _do("feed", NOURRIR, "animal"),
)  # fmt: skip
GIVING = (
    _do("give", regular("donner"), "thing food"),
    _do("show", regular("montrer"), "thing animal vehicle"),
    _do("send", replace(regular("envoyer"), future="enverr"), "written thing"),
    _do("lend", regular("prêter"), "thing vehicle"),
    _do("sell", VENDRE, "thing vehicle"),
    _do("offer", irregular("offrir", "offre offres offre offrons offrez offrent", "offert", "offrir"), "thing food"),
)
DORMIR = irregular("dormir", "dors dors dort dormons dormez dorment", "dormi", "dormir")
STAYING = (
    _do("sleep", DORMIR),
    _do("work", regular("travailler")),
    _do("sing", regular("chanter")),
    _do("dance", regular("danser")),
    _do("cry", regular("pleurer")),
    _do("read", LIRE),
    _do("run", irregular("courir", "cours cours court courons courez courent", "couru", "courr")),
    _do("play", regular("jouer")),
    _do("wait", ATTENDRE),
    _do("talk", regular("parler")),
)
LEAVING = (
    _do("arrive", regular("arriver", etre=True)),
    _do("leave", irregular("partir", "pars pars part partons partez partent", "parti", "partir", etre=True)),
    _do("go out", irregular("sortir", "sors sors sort sortons sortez sortent", "sorti", "sortir", etre=True)),
    _do("come back", irregular("revenir", "reviens reviens revient revenons revenez reviennent", "revenu", "reviendr",
    etre=True)),
    _do("fall", regular("tomber", etre=True)),
)  # fmt: skip
GO = _do("go", irregular("aller", "vais vas va allons allez vont", "allé", "ir", etre=True))
STAY = _do("stay", regular("rester", etre=True))
WANT = irregular("vouloir", "veux veux veut voulons voulez veulent", "voulu", "voudr")
CAN = irregular("pouvoir", "peux peux peut pouvons pouvez peuvent", "pu", "pourr")
MUST = irregular("devoir", "dois dois doit devons devez doivent", "dû", "devr")
THINK = regular("penser")
KNOW = irregular("savoir", "sais sais sait savons savez savent", "su", "saur")
SAY = irregular("dire", "dis dis dit disons dites disent", "dit", "dir")
NAMES = (("Tom", False), ("Marie", True), ("Paul", False), ("Anna", True), ("Lucas", False), ("Emma", True))
PEOPLE, KIN, ANIMALS, SMALL = tagged("person"), tagged("kin"), tagged("animal"), tagged("thing animal")
THINGS, FOOD, PLACES = tagged("thing read furniture vehicle"), tagged("food drink"), tagged("place")
AT, INSIDE, BUILDINGS, TOPS, HOLDERS = (
    tagged("at"), tagged("inside"), tagged("building"), tagged("top"), tagged("holds")
)  # fmt: skip
# Without degrees: not `very broken`.
ABSOLUTE = frozenset({"broken", "Italian", "French", "ready", "alone", "fresh"})

# English, French
WHEN = {
    "present": (("every day", "tous les jours"), ("every morning", "tous les matins"), ("on Sundays", "le dimanche"),
                ("in the evening", "le soir"), ("every week", "toutes les semaines")),
    "progressive": (("now", "maintenant"), ("right now", "en ce moment"), ("at the moment", "en ce moment")),
    "past": (("yesterday", "hier"), ("last night", "hier soir"), ("this morning", "ce matin"),
             ("last week", "la semaine dernière"), ("two days ago", "il y a deux jours"), ("last Monday",
             "lundi dernier")),
    "future": (("tomorrow", "demain"), ("tonight", "ce soir"), ("next week", "la semaine prochaine"), ("soon",
    "bientôt"),
               ("in two days", "dans deux jours"), ("next year", "l'année prochaine")),
}  # fmt: skip
OFTEN = (("often", "souvent"), ("always", "toujours"), ("sometimes", "parfois"))
NEGATIONS = (("not", "pas"), ("not", "pas"), ("never", "jamais"), ("no longer", "plus"))
COUNTS = (
    ("two", "deux"),
    ("three", "trois"),
    ("four", "quatre"),
    ("five", "cinq"),
    ("ten", "dix"),
    ("several", "plusieurs"),
)
