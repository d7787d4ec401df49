"""Facts and sentences of the short news articles, one function for each kind of news.

An article has one main event, told in one of several ways; sentences that add to it, one of which may belong into the
highlights; and sentences about other games, votes, storms, firms and studies, with names and numbers that are traps.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.embedded.grammar import Draw

TOWNS = (
    "Ashford", "Brookfield", "Carlton", "Dunmore", "Eastbury", "Fairview", "Glenwood", "Harwick", "Kingsley", "Linden",
    "Marlow", "Norwood", "Oakham", "Preston", "Redhill", "Stanton", "Thornton", "Weston",
)  # fmt: skip
SURNAMES = (
    "Adams", "Baker", "Carter", "Dixon", "Evans", "Foster", "Grant", "Hughes", "Jensen", "Keller", "Lopez", "Morris",
    "Novak", "Owens", "Parker", "Reed", "Silva", "Turner", "Walsh", "Young",
)  # fmt: skip
CLUBS = ("United", "Rovers", "City", "Wanderers", "Athletic")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "September", "October", "November")
COMPANIES = (
    "Altona", "Bexter", "Corvane", "Delmark", "Ferrotec", "Granton Foods", "Helix Motors", "Lumera", "Northgate",
    "Orbis", "Pinewood Paper", "Solarix", "Trident", "Vantor",
)  # fmt: skip
MEMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten",
           11: "eleven", 12: "twelve"}  # fmt: skip


@dataclass
class Story:
    """A main event with its summary, a further point with its own, and what else may be told."""

    main: str
    summary: str
    point: str
    point_summary: str
    details: list[str]
    others: list[str]


def number(draw: Draw, low: int, high: int, step: int) -> str:
    """A multiple of `step`, with commas."""
    return f"{step * draw.between(low // step, high // step):,}"


def match(draw: Draw) -> Story:
    home, away, other, last = draw.some(TOWNS, 4)
    clubs = draw.some(CLUBS, 4)
    winner, loser, third, fourth = (
        f"{town} {club}" for town, club in zip((home, away, other, last), clubs, strict=True)
    )
    if draw.chance(0.5):
        winner, loser = loser, winner
    low = draw.between(0, 2)
    score = f"{low + draw.between(1, 3)}-{low}"
    day, next_day = draw.some(DAYS, 2)
    scorer, coach, keeper = draw.some(SURNAMES, 3)
    minutes = draw.between(10, 88)
    main = draw.of(
        f"{winner} beat {loser} {score} in {home} on {day}.",
        f"{loser} lost {score} to {winner} in {home} on {day}.",
        f"On {day}, {loser} were no match for {winner}, who won {score} in {home}.",
        f"It was a bad {day} for {loser}, beaten {score} by {winner} in {home}.",
    )
    return Story(
        main,
        f"{winner} defeated {loser} {score} on {day}.",
        f"{scorer} scored the decisive goal after {minutes} minutes.",
        f"{scorer} scored the winning goal.",
        [
            f"A crowd of {number(draw, 3000, 42000, 500)} watched the game in heavy rain.",
            f"Goalkeeper {keeper} made {draw.between(3, 9)} saves before half time.",
            f"Coach {coach} said the players had "
            f"{draw.of('worked hard all week', 'shown great spirit', 'followed the plan')}.",
            f"The referee showed {draw.between(2, 6)} yellow cards in a tense second half.",
        ],
        [
            f"{third} drew {low}-{low} with {fourth} in another game.",
            f"Last season, {third} won the cup against {loser} in {last}.",
            f"{winner} will play {fourth} on {next_day}.",
            f"{third} remain at the top of the table with {draw.between(30, 60)} points.",
            f"Tickets for the next round go on sale on {next_day}.",
        ],
    )


def vote(draw: Draw) -> Story:
    town, other = draw.some(TOWNS, 2)
    noun, reason = draw.of(
        ("a new library", "the old one is too small"),
        ("a sports centre", "young people have nowhere to train"),
        ("a tram line", "traffic has doubled in ten years"),
        ("a new primary school", "classes are overcrowded"),
        ("a cycle path", "the main road is dangerous"),
        ("a public swimming pool", "the nearest one is far away"),
        ("a waste plant", "the landfill is full"),
        ("a car park", "shoppers find no space in the centre"),
    )
    passed = draw.chance(0.6)
    more = draw.between(7, 12)
    less = draw.between(1, 6)
    day, year = draw.one(DAYS), draw.between(2026, 2032)
    cost, mayor, critic = draw.between(2, 48), *draw.some(SURNAMES, 2)
    yes = draw.of("voted to build", "approved plans for", "gave the green light to", "agreed to pay for")
    no = draw.of("voted against", "turned down plans for", "rejected", "refused to pay for")
    main = draw.of(
        f"The council of {town} {yes if passed else no} {noun} by {MEMBERS[more]} votes to {MEMBERS[less]} on {day}.",
        f"By {MEMBERS[more]} votes to {MEMBERS[less]}, councillors in {town} {yes if passed else no} {noun} on {day}.",
        f"After a long debate on {day}, the council of {town} {yes if passed else no} {noun} by "
        f"{MEMBERS[more]} votes to {MEMBERS[less]}.",
    )
    return Story(
        main,
        f"{town} council {'approved' if passed else 'rejected'} {noun} on {day}.",
        f"The project {'will cost' if passed else 'would have cost'} {cost} million dollars.",
        f"The project {'costs' if passed else 'was priced at'} {cost} million dollars.",
        [
            f"Mayor {mayor} said that {reason}.",
            f"Councillor {critic} called the plan "
            f"{draw.of('too expensive', 'badly prepared', 'a question of fairness')}.",
            f"About {number(draw, 40, 400, 10)} residents followed the meeting in the town hall.",
            f"{'Work is expected to begin in' if passed else 'A new proposal could be made in'} {year}.",
        ],
        [
            f"In {other}, a similar plan {draw.of('failed', 'was accepted')} {draw.between(2, 9)} years ago.",
            f"The council of {other} renewed its contract for "
            f"{draw.of('street lights', 'school meals', 'garbage trucks')}.",
            f"{other} spent {draw.between(50, 90)} million dollars on roads last year.",
            f"The next meeting in {town} takes place in {draw.one(MONTHS)}.",
            f"Taxes in {town} have not risen for {draw.between(3, 9)} years.",
        ],
    )


def storm(draw: Draw) -> Story:
    town, other, third = draw.some(TOWNS, 3)
    what, verb, did = draw.of(
        ("a storm", "hit", "Storm"),
        ("a flood", "struck", "Flood"),
        ("heavy snow", "covered", "Snow"),
        ("a hail storm", "battered", "Hail"),
        ("a heat wave", "gripped", "Heat wave"),
    )
    day, month = draw.one(DAYS), draw.one(MONTHS)
    homes, hurt = number(draw, 200, 9000, 100), draw.between(2, 19)
    official, farmer = draw.some(SURNAMES, 2)
    leading = what[0].upper() + what[1:]
    main = draw.of(
        f"{leading} {verb} {town} on {day} and left {homes} homes without power.",
        f"On {day}, {homes} homes in {town} were left without power when {what} {verb} the town.",
        f"Power failed in {homes} homes in {town} on {day} after {what} {verb} the region.",
    )
    return Story(
        main,
        f"{did} cut power to {homes} homes in {town} on {day}.",
        f"Doctors treated {hurt} people for injuries.",
        f"{hurt} people were hurt.",
        [
            f"Fire chief {official} asked people to "
            f"{draw.of('stay at home', 'avoid the centre', 'check on their neighbours')}.",
            f"Schools stayed closed and {draw.between(12, 60)} trains were cancelled.",
            f"Crews worked through the night to clear {draw.between(3, 30)} roads.",
            f"Farmer {farmer} said that half of the harvest was lost.",
        ],
        [
            f"In {other}, {draw.between(20, 90)} people spent the night in a school.",
            f"Forecasters expect calmer weather in {third} by the end of the week.",
            f"In {month}, a fire in {other} destroyed {draw.between(4, 40)} houses.",
            f"The last disaster of this size was {draw.between(11, 60)} years ago in {third}.",
            f"{third} escaped without damage.",
        ],
    )


def company(draw: Draw) -> Story:
    town, other, home = draw.some(TOWNS, 3)
    name, rival, third = draw.some(COMPANIES, 3)
    opens = draw.chance(0.55)
    what = draw.of("a factory", "a warehouse", "a research centre", "a call centre", "a data centre")
    jobs, year = number(draw, 60, 2400, 20), draw.between(2026, 2031)
    day, chief, union = draw.one(DAYS), *draw.some(SURNAMES, 2)
    verb = draw.of("open", "build", "set up") if opens else draw.of("close", "shut down", "give up")
    effect = "create" if opens else "cut"
    main = draw.of(
        f"{name} will {verb} {what} in {town} and {effect} {jobs} jobs, it said on {day}.",
        f"On {day}, {name} said it would {verb} {what} in {town}, a step that will {effect} {jobs} jobs.",
        f"A decision by {name} to {verb} {what} in {town} will {effect} {jobs} jobs, staff learned on {day}.",
    )
    return Story(
        main,
        f"{name} is {'opening' if opens else 'closing'} {what} in {town}, "
        f"{'creating' if opens else 'cutting'} {jobs} jobs.",
        f"The change should be complete in {year}.",
        f"It is planned for {year}.",
        [
            f"Chief executive {chief} spoke of {'a day of hope' if opens else 'a painful choice'} for the region.",
            f"Union leader {union} asked for {'fair wages' if opens else 'help for the families'} and talks "
            f"with the firm.",
            f"Shares of {name} {draw.of('rose', 'fell')} by {draw.between(2, 9)} percent.",
            f"The firm, founded in {home}, had sales of {draw.between(100, 900)} million dollars last year.",
        ],
        [
            f"{rival}, a rival of {name}, {draw.of('hired', 'dismissed')} "
            f"{number(draw, 2500, 5000, 100)} people in {other}.",
            f"{third} wants to move its headquarters to {other}.",
            f"Unemployment in {other} stood at {draw.between(3, 12)} percent in {draw.one(MONTHS)}.",
            f"{rival} lost {draw.between(10, 90)} million dollars in the last quarter.",
            f"Banks have lent {third} another {draw.between(10, 90)} million dollars.",
        ],
    )


def study(draw: Draw) -> Story:
    town, other = draw.some(TOWNS, 2)
    (cause, causes), (effect, lowered) = draw.one(STUDIED)
    subjects = number(draw, 150, 9000, 50)
    years = draw.between(2, 14)
    leader, doubter, earlier = draw.some(SURNAMES, 3)
    group = draw.of("adults", "children", "patients", "volunteers", "women", "men")
    verb = draw.of("lowers", "reduces") if lowered else draw.of("raises", "increases")
    main = draw.of(
        f"Researchers in {town} who followed {subjects} {group} have found that {cause} {verb} the risk of {effect}.",
        f"The risk of {effect} {'falls' if lowered else 'grows'} with {cause}, say researchers in {town} "
        f"who followed {subjects} {group}.",
        f"A study of {subjects} {group} in {town} shows that {cause} {verb} the risk of {effect}.",
    )
    return Story(
        main,
        f"{cause[0].upper() + cause[1:]} {'lowers' if lowered else 'raises'} the risk of {effect}, a study "
        f"of {subjects} {group} found.",
        f"The effect could still be seen after {years} years.",
        f"The effect lasted {years} years.",
        [
            f"Professor {leader} led the team at the University of {town}.",
            f"The team now wants to know why {causes}.",
            f"Everyone filled in a form {draw.of('every week', 'every month', 'twice a year')}.",
            f"Doctor {doubter}, who took no part, called the result "
            f"{draw.of('convincing', 'surprising', 'a first step')}.",
        ],
        [
            f"An earlier study in {other} had only {draw.between(20, 140)} participants.",
            f"In {other}, scientists are testing a new drug against {draw.of('malaria', 'migraine', 'asthma')}.",
            f"Doctor {earlier} of {other} had found no such link {draw.between(15, 30)} years ago.",
            f"The work was paid for with {draw.between(2, 9)} million dollars of public money.",
            f"A meeting on the subject will be held in {other} in {draw.one(MONTHS)}.",
        ],
    )


# What was studied, why it might be so, and the illness; true: the risk falls.
STUDIED = (
    (("daily walking", "movement helps"), ("heart disease", True)),
    (("too little sleep", "sleep matters so much"), ("depression", False)),
    (("eating more fruit", "fruit has this effect"), ("stroke", True)),
    (("night work", "night work does harm"), ("diabetes", False)),
    (("playing music", "music protects the brain"), ("memory loss", True)),
    (("city noise", "noise does harm"), ("high blood pressure", False)),
    (("drinking green tea", "tea has this effect"), ("kidney stones", True)),
    (("long hours at a desk", "sitting does harm"), ("back pain", False)),
    (("learning a language", "languages protect the brain"), ("dementia", True)),
    (("air pollution", "dust does harm"), ("asthma", False)),
)
STORIES = (match, vote, storm, company, study)
