"""Captions of everyday pictures in the style of the COCO file that Texygen uses: lower case, tokens apart, final ` .`

A scene is drawn first (beach, kitchen, street, ...) and gives agents, what they plausibly do there, and what stands
around; number agrees between counts, nouns, verbs and possessives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tasks.embedded.english import plural
from tasks.embedded.grammar import Draw, Row, Splits, deal, with_article

SEED = 5301


@dataclass(frozen=True)
class Scene:
    """People and animals, what they do, and where.

    In an action `their` stands for the possessive that agrees, `{kite}` for "a kite" or "kites", `[kite]` for the bare
    noun, singular or plural with the subject.
    """

    people: tuple[str, ...]
    acts: tuple[str, ...]
    animals: tuple[str, ...]
    animal_acts: tuple[str, ...]
    places: tuple[str, ...]


def _scene(people: str, acts: str, animals: str, animal_acts: str, places: str) -> Scene:
    parts = [tuple(part.split(", ")) if part else () for part in (people, acts, animals, animal_acts, places)]
    return Scene(*parts)


SCENES = (
    _scene(
        "surfer, man, woman, boy, girl, person",
        "riding a wave on top of {surfboard}, carrying {surfboard} to the water, walking along the shore, "
        "flying {kite}, "
        "sitting under an umbrella, paddling out to sea on their [surfboard], holding their [surfboard]",
        "dog, seagull, bird",
        "standing in the shallow water, running through the waves, looking at the ocean",
        "at the beach, on a sandy beach, near the water, on a cloudy day",
    ),
    _scene(
        "skier, snowboarder, man, woman, child, person",
        "skiing down a snowy slope, jumping over a hill of snow, riding a ski lift, standing on their skis, "
        "holding their ski poles, falling into the deep snow",
        "dog, horse",
        "walking through the snow, pulling a sled, playing in the snow",
        "in the mountains, on a snowy hill, next to some trees, on a sunny winter day",
    ),
    _scene(
        "woman, man, chef, child, cook, couple",
        "cutting vegetables with a knife, preparing a meal, stirring a pot on the stove, washing dishes in the sink, "
        "eating {sandwich} at the counter, taking a pizza out of the oven, pouring {glass} of wine, tasting their soup",
        "cat, kitten, dog",
        "sitting on top of the refrigerator, drinking water from a bowl, begging for food, hiding inside a cabinet",
        "in a small kitchen, in a modern kitchen, in a restaurant kitchen, in a kitchen with white cabinets",
    ),
    _scene(
        "man, woman, police officer, cyclist, skateboarder, tourist",
        "riding {bicycle} down the street, crossing the road, waiting for the bus, talking on their [cell phone], "
        "riding {motorcycle}, pushing {stroller}, holding {umbrella}, looking at their [phone], walking "
        "past a parked car",
        "dog, pigeon, cat",
        "walking down the sidewalk, standing next to a parking meter, sitting on a bench, waiting at the corner",
        "on a busy street, in the city, in front of a tall building, next to a traffic light, on a rainy day, at night",
    ),
    _scene(
        "boy, girl, man, woman, child, player, family",
        "throwing a frisbee, playing soccer, flying {kite}, having a picnic, reading a book under a tree, "
        "sitting on a bench, kicking a ball, walking their [dog], swinging {baseball bat}",
        "dog, puppy",
        "catching a frisbee, running after a ball, lying in the shade of a tree, chewing on a stick, chasing a bird",
        "in the park, on a grassy field, near a pond, in a green field, on a sunny day",
    ),
    _scene(
        "tennis player, man, woman, boy, girl",
        "serving the ball, swinging {racket} at a ball, preparing to hit the ball, holding their [tennis racket], "
        "reaching for a tennis ball, waving to the crowd",
        "",
        "",
        "on a tennis court, during a match, in a large stadium, on a blue court, on a clay court",
    ),
    _scene(
        "man, woman, girl, boy, student, couple",
        "working on {laptop}, watching television, playing a video game, reading {newspaper}, sleeping on a couch, "
        "opening {present}, holding {remote control}, sitting in their [chair]",
        "cat, dog, kitten, puppy",
        "sleeping on a bed, sitting on a laptop, playing with a ball, looking out the window, lying on a couch, "
        "hiding under a blanket",
        "in a living room, in front of a large window, in a bedroom, next to a lamp, in a small room",
    ),
    _scene(
        "zookeeper, tourist, child, farmer, woman",
        "feeding an animal, taking a picture of the animals, leaning on a wooden fence, pointing at a tree",
        "elephant, giraffe, zebra, cow, sheep, horse, bear",
        "grazing on the grass, eating leaves from a tree, drinking from a river, walking along a dirt road, "
        "standing behind a fence, lying in the dry grass, crossing a stream",
        "in a field, at the zoo, near some trees, on a farm, in a wooded area, on a hillside",
    ),
    _scene(
        "traveler, pilot, man, woman, passenger, worker",
        "carrying {suitcase}, waiting for a train, boarding a plane, sitting on their luggage, pulling "
        "{bag} on wheels, "
        "looking at a map, loading bags onto a cart",
        "",
        "",
        "at the airport, at a train station, on a platform, near the runway, in a crowded terminal",
    ),
)
WEARING = (
    "in a red shirt", "in a black suit", "in a white dress", "wearing a hat", "wearing glasses", "with a backpack",
    "in a blue jacket", "wearing a green coat", "with long hair", "wearing a helmet",
)  # fmt: skip
AGES = ("young", "tall", "smiling", "little", "old")
COATS = ("brown", "black", "white", "large", "small", "gray")
COUNTS = ("two", "three", "several", "a couple of", "a group of", "many", "four")
HIS = {"man", "boy"}
HER = {"woman", "girl"}
# Furnished rooms and set tables: where, what can be there.
SETTINGS = (
    ("kitchen", "stove, refrigerator, sink, microwave, wooden table, oven, counter"),
    ("bathroom", "sink, toilet, mirror, bathtub, shower, window, white towel"),
    ("living room", "couch, television, fireplace, coffee table, lamp, bookshelf, rug"),
    ("bedroom", "bed, lamp, dresser, desk, window, blue chair, pillow"),
    ("office", "desk, computer, keyboard, chair, printer, telephone, bookshelf"),
)
DISHES = (
    ("plate", "sandwich, slice of pizza, salad, fork, piece of cake, steak, baked potato, pickle"),
    ("wooden table", "cup of coffee, vase of flowers, bowl of fruit, pizza, laptop, plate of cookies, glass of wine"),
    ("tray", "hot dog, bowl of soup, drink, hamburger, doughnut, banana, muffin"),
    ("counter", "blender, bowl of apples, loaf of bread, toaster, knife, cutting board, bottle of milk"),
)
VEHICLES = (
    (
        "bus, truck, car, motorcycle, fire truck, taxi, bicycle",
        "parked on the side of the road, stopped at a red light, driving down a city street, parked in "
        "front of a house, "
        "turning at the corner",
    ),
    ("train", "pulling into a station, traveling through the countryside, crossing a bridge, coming down the tracks"),
    (
        "airplane, jet",
        "flying through a clear sky, parked on the runway, taking off from an airport, landing at sunset",
    ),
    ("boat, sailboat, ship", "floating on a lake, tied to a dock, sailing near the shore, passing under a bridge"),
)
COLORS = ("red", "blue", "white", "yellow", "green", "black")
SIZES = ("large", "small", "old")


def _possessive(noun: str, many: bool) -> str:
    if many or noun not in HIS | HER:
        return "their"
    return "his" if noun in HIS else "her"


@dataclass(frozen=True)
class Phrase:
    """A noun phrase with what agreement needs."""

    text: str
    many: bool
    their: str

    @property
    def be(self) -> str:
        return "are" if self.many else "is"


def _agent(draw: Draw, noun: str, adjectives: tuple[str, ...], extras: tuple[str, ...]) -> Phrase:
    if noun in ("couple", "family"):
        return Phrase("a family", False, "their") if noun == "family" else Phrase("a couple of people", True, "their")
    many = draw.chance(0.35)
    words = plural(noun) if many else noun
    human = bool(extras)
    if draw.chance(0.4) and not (human and " " in noun):
        words = f"{draw.one(adjectives)} {words}"
    text = f"{draw.one(COUNTS)} {words}" if many else with_article(words)
    if human and not many and draw.chance(0.35):
        text = f"{text} {draw.one(extras)}"
    return Phrase(text, many, _possessive(noun, many))


def _done_by(who: Phrase, act: str) -> str:
    """The action in the number of its subject."""
    act = act.replace("their", who.their)
    act = re.sub(r"\{(.+?)\}", lambda noun: plural(noun[1]) if who.many else with_article(noun[1]), act)
    return re.sub(r"\[(.+?)\]", lambda noun: plural(noun[1]) if who.many else noun[1], act)


def _actor(draw: Draw) -> tuple[Phrase, str, str]:
    """Somebody, what they do, and where."""
    scene = draw.one(SCENES)
    if scene.animals and draw.chance(0.35):
        who = _agent(draw, draw.one(scene.animals), COATS, ())
        return who, draw.one(scene.animal_acts), draw.one(scene.places)
    who = _agent(draw, draw.one(scene.people), AGES, WEARING)
    return who, _done_by(who, draw.one(scene.acts)), draw.one(scene.places)


def action(draw: Draw) -> str:
    who, act, place = _actor(draw)
    verb = f"{who.be} " if draw.chance(0.4) else ""
    return f"{who.text} {verb}{act}" + (f" {place}" if draw.chance(0.7) else "")


def there_is(draw: Draw) -> str:
    who, act, place = _actor(draw)
    return f"there {who.be} {who.text} {act}" + (f" {place}" if draw.chance(0.5) else "")


def watching(draw: Draw) -> str:
    """Two agents, the second one's act told by a relative clause or a participle."""
    who, act, place = _actor(draw)
    other = draw.of("man", "woman", "boy", "girl", "crowd of people")
    verb = draw.of("watching", "looking at", "standing next to", "taking a picture of")
    middle = draw.of("", f"that {who.be} ")
    return f"a {other} {verb} {who.text} {middle}{act}" + (f" {place}" if not middle and draw.chance(0.5) else "")


def _things(draw: Draw, names: str, count: int) -> str:
    chosen = [with_article(name) for name in draw.some(names.split(", "), count)]
    return f"{chosen[0]} and {chosen[1]}" if count == 2 else f"{chosen[0]} , {chosen[1]} and {chosen[2]}"


def room(draw: Draw) -> str:
    place, things = draw.one(SETTINGS)
    kind = draw.of("small", "modern", "clean", "dark", "bright", "large")
    verb = draw.of("with", "that has", "filled with", "featuring")
    return f"a {kind} {place} {verb} {_things(draw, things, draw.between(2, 3))}"


def table(draw: Draw) -> str:
    place, things = draw.one(DISHES)
    color = draw.of("white ", "", "small ", "large ")
    place = place if " " in place else f"{color}{place}"
    listing = _things(draw, things, draw.between(2, 3))
    if draw.chance(0.5):
        return f"a {place} {draw.of('topped with', 'holding', 'with')} {listing}"
    return f"{listing} {draw.of('on a', 'sitting on a', 'on top of a')} {place}"


def vehicle(draw: Draw) -> str:
    names, acts = draw.one(VEHICLES)
    noun = draw.one(names.split(", "))
    many = draw.chance(0.3)
    words = f"{draw.one(COLORS)} {plural(noun) if many else noun}"
    if not many and draw.chance(0.4):
        words = f"{draw.one(SIZES)} {words}"
    text = f"{draw.one(COUNTS[:4])} {words}" if many else with_article(words)
    verb = draw.of("", "are " if many else "is ")
    tail = draw.of("", "", " at night", " on a sunny day", " in the rain")
    return f"{text} {verb}{draw.one(acts.split(', '))}{tail}".replace(" at sunset at night", " at sunset")


KINDS: tuple[Callable[[Draw], str], ...] = (action, action, action, action, there_is, watching, room, table, vehicle)


def caption(draw: Draw) -> str:
    return f"{draw.one(KINDS)(draw)} ."


def build() -> Splits:
    """All splits."""

    def example(draw: Draw, split: str) -> tuple[str, Row]:  # noqa: ARG001
        text = caption(draw)
        return text, {"text": text}

    return deal(example, SEED)
