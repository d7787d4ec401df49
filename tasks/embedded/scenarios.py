"""Scenarios of the dialogue grammar: each makes one whole dialogue, the turns of two people in order.

What is said early (a day, a number, a colour, a place) comes back later, is confirmed, corrected or counted with; so an
answer needs the turns before it.
"""

from __future__ import annotations

from collections.abc import Callable

from tasks.embedded.english import plural
from tasks.embedded.grammar import Draw, with_article

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NAMES = ("Miller", "Garcia", "Chen", "Brown", "Novak", "Singh", "Dubois", "Rossi", "Kim", "Lopez", "Weber", "Silva")
FRIENDS = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ines", "Jack", "Lena", "Max")
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight")
HOURS = ("six", "seven", "eight", "nine", "half past six", "half past seven", "half past eight")
CITIES = ("London", "Paris", "Berlin", "Madrid", "Rome", "Vienna", "Lisbon", "Prague", "Dublin", "Zurich")
COLORS = ("red", "blue", "green", "black", "white", "brown", "gray", "yellow")
FILMS = {
    "The Silent Harbor": "thriller", "Moonlight Circus": "comedy", "Seven Winters": "drama",
    "The Last Orchard": "drama",
    "Robots of Venus": "science fiction film", "Paper Hearts": "comedy", "Night Ferry": "thriller",
    "Desert Stars": "western",
    "The Glass Planet": "science fiction film", "Dust and Gold": "western",
}  # fmt: skip
DISHES = {
    "mushroom risotto": "vegetarian", "lentil curry": "vegan", "grilled tofu": "vegan", "cheese omelette": "vegetarian",
    "rice noodles": "gluten free", "baked potatoes": "gluten free", "spinach lasagna": "vegetarian",
    "bean tacos": "vegan",
}  # fmt: skip
PLACES = ("museum", "library", "post office", "train station", "hospital", "cathedral", "swimming pool", "market hall")
LANDMARKS = ("bank", "church", "bakery", "fountain", "traffic light", "school", "pharmacy", "bridge")
GARMENTS = ("shirt", "coat", "scarf", "jacket", "sweater", "hat", "skirt")
ITEMS = ("umbrella", "bag", "wallet", "scarf", "suitcase", "camera", "jacket")
VEHICLES = ("bus", "train", "tram", "ferry", "subway")
OUTDOORS = ("go hiking", "have a picnic", "go swimming in the lake", "play tennis", "ride our bikes", "go fishing")
INDOORS = ("visit the museum", "go to the cinema", "bake a cake", "play chess", "watch a film at home", "go bowling")
ILLNESSES = {
    "a headache": "drink more water and rest", "a cough": "drink hot tea with honey",
    "a sore throat": "speak as little as you can",
    "a stomach ache": "eat only rice and bananas", "back pain": "go for a walk every day",
    "a toothache": "see a dentist",
}  # fmt: skip
FOODS = {
    "pizza": "a hot oven", "sushi": "very fresh fish", "curry": "good spices", "pancakes": "a good pan",
    "ramen": "a rich broth",
    "tacos": "fresh corn", "paella": "saffron", "bread": "patience",
}  # fmt: skip
HOBBIES = {
    "the piano": "play", "the guitar": "play", "the violin": "play", "chess": "play", "Spanish": "learn",
    "Japanese": "learn",
    "photography": "learn", "pottery": "learn",
}  # fmt: skip
COUNTED = ("", "one", *NUMBERS)
DIETS = ("vegetarian", "vegan", "gluten free")


def table(draw: Draw) -> list[str]:
    count, day, (time, later) = draw.one(NUMBERS), draw.one(DAYS), draw.some(HOURS, 2)
    name = draw.one(NAMES)
    turns = [
        draw.of(
            f"Hello, I would like to book a table for {count} on {day} at {time}.",
            f"Could I reserve a table for {count} people on {day}, at {time}?",
            f"Do you have a table for {count} at {time} on {day}?",
        )
    ]
    if draw.chance(0.45):
        turns += [
            f"I am sorry, we are full at {time} on {day}. Would {later} be possible?",
            draw.of(
                f"Yes, {later} is fine for the {count} of us.",
                f"That works for us, {later} on {day} then.",
                f"All right, let us say {later} instead of {time}.",
            ),
        ]
        time = later
        turns.append(
            draw.of(f"Good, {day} at {time}. What name, please?", f"Then {time} for {count}. Under what name?")
        )
    else:
        turns.append(
            draw.of(f"Of course, {day} at {time}. What is your name?", f"For {count} at {time}, yes. Under what name?")
        )
    turns += [
        draw.of(f"My name is {name}. Thank you for {time}.", f"{name}, please, {day} at {time}."),
        f"Thank you, {name}. Your table for {count} is booked on {day} at {time}.",
    ]
    diet = draw.one(DIETS)
    dish = draw.one([each for each, kind in DISHES.items() if kind == diet])
    other = draw.one([each for each in DISHES if each != dish])
    if draw.chance(0.5):
        turns += [
            f"One of the {count} eats only {diet} food.",
            f"Then I suggest our {dish}, which {'are' if dish.endswith('s') else 'is'} {diet}.",
        ]
    else:
        first, second = draw.shuffled((dish, other))
        turns += [f"We know your {first} and your {second}. Which one is {diet}?"]
        both = DISHES[other] == diet
        turns += [f"Both are {diet}." if both else f"The {dish} {'are' if dish.endswith('s') else 'is'} {diet}."]
    return turns


def cinema(draw: Draw) -> list[str]:
    film, other = draw.some(tuple(FILMS), 2)
    day, time, friend = draw.one(DAYS), draw.one(HOURS), draw.one(FRIENDS)
    kind = FILMS[film]
    count = draw.between(2, 5)
    turns = [
        draw.of(
            f"Shall we go to the cinema on {day}? I want to see {film}.",
            f"{friend} and I are going to see {film} on {day}. Will you come?",
            f"Have you heard of {film}? It is on at the cinema on {day}.",
        )
    ]
    if draw.chance(0.5):
        turns += [
            f"What kind of film is {film}?",
            draw.of(
                f"{film} is a {kind}.", f"They say that {film} is a good {kind}.", f"A {kind}, and {friend} liked it."
            ),
        ]
        likes = draw.chance(0.6)
        turns.append(
            f"Good, I love a {kind}. When does {film} start?"
            if likes
            else f"I never watch a {kind}. Let us see {other} instead."
        )
        turns.append(f"{film} starts at {time} on {day}." if likes else f"Fine, then we see {other} on {day}.")
        return turns
    turns += [
        draw.of(f"I have already seen {film}. How about {other}?", f"I would rather see {other} than {film}."),
        draw.of(f"Good idea, {other} is a {FILMS[other]}.", f"Why not? I enjoy a {FILMS[other]}."),
        f"Shall I buy {COUNTED[count]} tickets for {other} on {day}?",
        draw.of(
            f"Yes, {COUNTED[count]} tickets for {day}, please.", f"Yes please, {COUNTED[count]} for {other} on {day}."
        ),
    ]
    return turns


def directions(draw: Draw) -> list[str]:
    place, landmark = draw.one(PLACES), draw.one(LANDMARKS)
    side, minutes = draw.of("left", "right"), draw.between(3, 15)
    wrong = {"left": "right", "right": "left"}[side]
    turns = [
        draw.of(
            f"Excuse me, how do I get to the {place}?",
            f"Hello, I am looking for the {place}.",
            f"Could you tell me the way to the {place}?",
        ),
        draw.of(
            f"Go straight ahead and turn {side} at the {landmark}.",
            f"Walk to the {landmark}, then turn {side}.",
            f"It is easy. Turn {side} when you see the {landmark}.",
        ),
    ]
    tail = [
        draw.of(
            f"Is the {place} far from here?",
            f"Is it far to the {place}?",
            f"How far is the {place} from the {landmark}?",
        ),
        f"From the {landmark}, the {place} is about {minutes} minutes on foot.",
    ]
    if draw.chance(0.5):
        heard = draw.of(side, wrong)
        answer = (
            f"Yes, {side} at the {landmark}, and you will see the {place}."
            if heard == side
            else f"No, turn {side} at the {landmark}, not {wrong}."
        )
        turns += [f"So I turn {heard} at the {landmark}?", answer]
    return [
        *turns,
        *tail,
        f"Thank you, {minutes} minutes to the {place} is fine.",
        f"You are welcome. Remember to turn {side} at the {landmark}.",
    ]


def tickets(draw: Draw) -> list[str]:
    city, day, time = draw.one(CITIES), draw.one(DAYS), draw.one(HOURS)
    count, price = draw.between(2, 5), draw.of(10, 20, 30, 40, 50)
    turns = [
        draw.of(
            f"I need {COUNTED[count]} tickets to {city} for {day}.",
            f"{COUNTED[count].capitalize()} tickets to {city} on {day}, please.",
        ),
        draw.of(
            f"One ticket to {city} costs {price} dollars. Is that all right?",
            f"For {city}, a ticket is {price} dollars.",
        ),
        draw.of(
            f"So how much for all {COUNTED[count]} to {city}?",
            f"What do {COUNTED[count]} tickets to {city} cost together?",
        ),
        f"{COUNTED[count].capitalize()} tickets to {city} make {count * price} dollars.",
    ]
    if draw.chance(0.5):
        return [*turns, f"When does the train leave on {day}?", f"The train to {city} leaves at {time} on {day}."]
    way = draw.of("a window seat", "a seat in the quiet car", "a corner seat")
    return [*turns, f"I would like {way} to {city} if possible.", f"There is {way} free on {day}, for {time}."]


def shop(draw: Draw) -> list[str]:
    garment, (color, second, third) = draw.one(GARMENTS), draw.some(COLORS, 3)
    price, size = draw.between(3, 19) * 5, draw.of("small", "medium", "large")
    chosen = draw.of(second, third)
    turns = [
        draw.of(
            f"Do you have this {garment} in {color}, size {size}?",
            f"I am looking for {with_article(color)} {garment} in {size}.",
        ),
        draw.of(
            f"Not in {color}, but we have {second} and {third}.", f"We only have a {second} one and a {third} one."
        ),
        draw.of(
            f"Then I will try the {chosen} {garment}.",
            f"Could I see the {chosen} one in {size}?",
            f"The {chosen} one looks nicer than the {second if chosen == third else third} one.",
        ),
        f"Here is the {chosen} {garment} in {size}.",
    ]
    if draw.chance(0.5):
        return [
            *turns,
            f"It fits well. What does the {chosen} one cost?",
            f"The {chosen} {garment} is {price} dollars.",
        ]
    return [
        *turns,
        f"The {chosen} one is too {draw.of('tight', 'loose', 'long', 'short')}. Do you have another size?",
        f"I am sorry, we have the {chosen} {garment} only in {size}.",
    ]


def lost(draw: Draw) -> list[str]:
    item, vehicle, day = draw.one(ITEMS), draw.one(VEHICLES), draw.one(DAYS)
    color, other = draw.some(COLORS, 2)
    found = draw.chance(0.55)
    name = draw.one(NAMES)
    turns = [
        draw.of(
            f"I lost my {item} on the {vehicle} on {day}.",
            f"Hello, I left my {item} on the {vehicle} last {day}.",
            f"On {day}, I forgot my {item} on the {vehicle}.",
        ),
        draw.of(
            f"What color is the {item} you lost on the {vehicle}?",
            f"I am sorry to hear that. What color is your {item}?",
        ),
        draw.of(f"It is {color}.", f"The {item} is {color}.", f"My {item} is {color}."),
    ]
    if found:
        return [
            *turns,
            f"Then we have it. Somebody found a {color} {item} on {day}.",
            draw.of(f"Wonderful. My name is {name}.", f"That is mine. I am {name}."),
            f"Please sign here for your {color} {item}, {name}.",
        ]
    return [
        *turns,
        f"We only found a {other} {item} on the {vehicle}, not a {color} one.",
        f"Could you call me if somebody finds my {color} {item}?",
        f"Of course, we will call you if a {color} {item} is found.",
    ]


def weekend(draw: Draw) -> list[str]:
    friend, day, plan, other = draw.one(FRIENDS), draw.one(DAYS), draw.one(OUTDOORS), draw.one(INDOORS)
    sunny = draw.chance(0.5)
    weather = draw.of("sunny", "warm and dry") if sunny else draw.of("rainy", "stormy", "very cold")
    turns = [
        draw.of(f"Hi {friend}, shall we {plan} on {day}?", f"{friend}, do you want to {plan} with me on {day}?"),
        draw.of(f"What will the weather be like on {day}?", f"I would love to. Is it going to be nice on {day}?"),
        draw.of(f"They say that {day} will be {weather}.", f"In the forecast, {day} is {weather}."),
    ]
    if sunny:
        return [
            *turns,
            f"Then let us {plan} on {day}.",
            f"What shall I bring if we {plan}?",
            draw.of(f"Just good shoes, since we will {plan}.", f"Bring something to drink for {day}."),
        ]
    return [
        *turns,
        f"Then we should not {plan}. Let us {other} instead.",
        draw.of(f"Good, then we {other} on {day}.", f"You are right, it is too {weather} to {plan}."),
        f"See you on {day}, then. I will be glad to {other}.",
    ]


def doctor(draw: Draw) -> list[str]:
    illness, days = draw.one(tuple(ILLNESSES)), draw.one(NUMBERS)
    day = draw.one(DAYS)
    fever = draw.chance(0.4)
    ache = illness.removeprefix("a ")
    turns = [
        draw.of(
            f"Good morning, doctor. I have had {illness} for {days} days.",
            f"For {days} days now, I have had {illness}.",
        ),
        draw.of(
            f"{days.capitalize()} days is a long time. Do you have a fever too?",
            f"Is there a fever besides the {ache}?",
        ),
        f"Yes, I have had a fever for {draw.one(NUMBERS)} days." if fever else f"No, just the {ache} for {days} days.",
    ]
    if fever:
        return [
            *turns,
            f"Then take these pills against the fever and the {ache}.",
            draw.of(f"Will they help against the {ache} too?", "How long must I take them?"),
            f"Take them until {day}, and the {ache} will go away.",
        ]
    return [
        *turns,
        f"Against {illness if illness == 'back pain' else 'the ' + ache}, you should {ILLNESSES[illness]}.",
        f"And if the {ache} does not get better?",
        f"Then come back on {day} about your {ache}.",
    ]


def cooking(draw: Draw) -> list[str]:
    friend, food, other = draw.one(FRIENDS), *draw.some(tuple(FOODS), 2)
    day = draw.one(DAYS)
    many = food in ("pancakes", "tacos")
    turns = [
        draw.of(
            f"My favorite food is {food}. What is yours, {friend}?",
            f"I could eat {food} every day. And you, {friend}?",
        ),
        draw.of(f"I like {food} too, but I prefer {other}.", f"For me it is {other}, not {food}."),
        draw.of(f"Can you cook {other} yourself?", f"Do you ever make {other} at home?"),
        draw.of(
            f"Yes, I make {other} every {day}. All you need is {FOODS[other]}.",
            f"Every {day}. The secret is {FOODS[other]}.",
        ),
    ]
    if draw.chance(0.5):
        return [*turns, f"Then I will come on {day} and try it.", f"Do come on {day}, and bring some {food}."]
    return [
        *turns,
        f"Good {food} {'need' if many else 'needs'} {FOODS[food]}, they say.",
        f"Then you cook {food} and I cook {other} on {day}.",
    ]


def hobby(draw: Draw) -> list[str]:
    what, years, day = draw.one(tuple(HOBBIES)), draw.between(2, 8), draw.one(DAYS)
    verb, friend = HOBBIES[what], draw.one(FRIENDS)
    goal = (
        "give a concert"
        if what.startswith("the")
        else {"chess": "win a tournament", "photography": "have an exhibition", "pottery": "sell my bowls"}.get(
            what, "travel there one day"
        )
    )
    number = COUNTED[years]
    doing = {"play": "playing", "learn": "learning"}[verb]
    return [
        draw.of(
            f"I have started to {verb} {what}.",
            f"{friend} and I {verb} {what} together now.",
            f"Every {day}, I {verb} {what}.",
        ),
        draw.of(f"How long have you been {doing} {what}?", f"Really? Is {what} hard?"),
        draw.of(
            f"I began {number} years ago, and I practice on {day}.",
            f"After {number} years, it gets easier, {day} after {day}.",
        ),
        draw.of(
            f"{number.capitalize()} years of {what} is impressive. Do you have a goal?",
            f"And what is your goal with {what} after {number} years?",
        ),
        draw.of(f"With {what}, I want to {goal}.", f"After {number} years, I want to {goal}."),
        draw.of(
            f"When you {goal.replace('my', 'your')}, invite me.",
            f"Keep {doing} {what} every {day} and you will {goal.replace('my', 'your')}.",
        ),
    ]


def party(draw: Draw) -> list[str]:
    host, guest, other = draw.some(FRIENDS, 3)
    thing, count, day = (
        draw.of("chair", "plate", "glass", "cake", "candle", "pizza"),
        draw.between(4, 8),
        draw.one(DAYS),
    )
    have = draw.between(1, count - 2)
    return [
        draw.of(
            f"{host} is having a birthday party on {day}. We need {COUNTED[count]} {plural(thing)}.",
            f"For {host}'s party on {day}, we need {COUNTED[count]} {plural(thing)}.",
        ),
        draw.of(
            f"I have {COUNTED[have]} {plural(thing) if have > 1 else thing} at home.",
            f"For {day}, I can bring {COUNTED[have]}.",
        ),
        draw.of(
            f"How many {plural(thing)} do we still have to buy for {host}?",
            f"So how many more {plural(thing)} do we need on {day}?",
        ),
        f"{COUNTED[count - have].capitalize()} more, because {COUNTED[have]} of the {COUNTED[count]} "
        f"{plural(thing)} {'are' if have > 1 else 'is'} there.",
        draw.of(f"Has {guest} or {other} been invited?", f"Who will come, {guest} or {other}?"),
        draw.of(
            f"{host} has invited {guest}, but not {other}.",
            f"Only {guest} will come to {host}'s party on {day}, not {other}.",
        ),
    ]


SCENARIOS: tuple[Callable[[Draw], list[str]], ...] = (
    table, table, cinema, cinema, directions, tickets, shop, lost, weekend, doctor, cooking, hobby, party,
)  # fmt: skip
