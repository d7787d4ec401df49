"""Topics of the speech grammar: the people, places, goods and burdens that belong together, and their verbs.

`people` are (singular, plural); the other nouns are whole phrases. `deeds` are verb phrases that only this topic has.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    people: tuple[tuple[str, str], ...]
    places: tuple[str, ...]  # plural: what can be built
    goods: tuple[str, ...]  # singular: what can be protected
    burdens: tuple[str, ...]  # singular: what can be lowered
    deeds: tuple[str, ...]


def _topic(people: str, places: str, goods: str, burdens: str, deeds: str) -> Topic:
    pairs = tuple(tuple(pair.split("/")) for pair in people.split(", "))
    return Topic(
        people=tuple((one, many) for one, many in pairs),
        places=tuple(places.split(", ")),
        goods=tuple(goods.split(", ")),
        burdens=tuple(burdens.split(", ")),
        deeds=tuple(deeds.split(", ")),
    )


TOPICS = {
    "education": _topic(
        "teacher/teachers, student/students, parent/parents, young graduate/young graduates",
        "classrooms, public schools, community colleges, libraries",
        "the promise of a good education, early learning, the love of reading, the dream of college",
        "the cost of college, the burden of student debt, the shortage of teachers",
        "train a new generation of teachers, open the doors of college, put a book in every home, reward "
        "great teaching, "
        "teach every child to read",
    ),
    "work": _topic(
        "worker/workers, small business owner/small business owners, autoworker/autoworkers, waitress/waitresses",
        "factories, assembly lines, workshops, small businesses",
        "the dignity of work, a fair wage, the right to organize, a secure retirement",
        "the tax on working families, the cost of child care, the loss of good jobs",
        "raise the minimum wage, bring jobs back home, reward honest work, close the loopholes, sell our "
        "products abroad",
    ),
    "health": _topic(
        "nurse/nurses, doctor/doctors, patient/patients, caregiver/caregivers",
        "hospitals, rural clinics, laboratories, emergency rooms",
        "affordable care, the peace of mind of families, medical research, the health of our seniors",
        "the price of medicine, the cost of insurance, the burden of medical bills",
        "cover every child, search for new cures, care for the sick, keep our promise to seniors, train more nurses",
    ),
    "energy": _topic(
        "engineer/engineers, scientist/scientists, farmer/farmers, coal miner/coal miners",
        "wind farms, solar plants, power lines, battery plants",
        "clean energy, the health of our rivers, the air our children breathe, our energy independence",
        "our dependence on foreign oil, the price of gasoline, the carbon pollution",
        "double the use of solar power, invent the engines of tomorrow, clean up our rivers, lead the world "
        "in clean power, "
        "plant new forests",
    ),
    "security": _topic(
        "soldier/soldiers, veteran/veterans, marine/marines, military family/military families",
        "bases, alliances, defenses, veterans hospitals",
        "the safety of our people, the trust of our allies, our national security, the cause of freedom",
        "the threat of terror, the spread of nuclear weapons, the danger of war",
        "bring our troops home, stand with our allies, honor our veterans, keep our country safe, defeat our enemies",
    ),
    "democracy": _topic(
        "citizen/citizens, voter/voters, volunteer/volunteers, community leader/community leaders",
        "polling places, town halls, courthouses, institutions",
        "the right to vote, the rule of law, the trust of the people, equal justice",
        "the influence of money, the bitterness of our politics, the gridlock in Washington",
        "count every vote, listen to each other, put country before party, change the way Washington works, "
        "hold our leaders accountable",
    ),
    "cities": _topic(
        "builder/builders, commuter/commuters, neighbor/neighbors, homeowner/homeowners",
        "roads and bridges, railroads, ports, neighborhoods",
        "affordable housing, safe drinking water, our infrastructure, fast internet",
        "the backlog of repairs, the cost of housing, the traffic on our highways",
        "fix our crumbling bridges, connect every small town, replace every lead pipe, "
        "lay down new tracks, put builders back to work",
    ),
    "justice": _topic(
        "police officer/police officers, judge/judges, pastor/pastors, young man/young men",
        "communities, churches, youth centers, courts",
        "the safety of our streets, equal opportunity, the hope of a second chance, the dignity of every person",
        "the violence in our streets, the weight of poverty, the number of shootings",
        "end the bloodshed, keep guns off our streets, give young people a second chance, heal old wounds, "
        "walk in the shoes of others",
    ),
    "immigration": _topic(
        "immigrant/immigrants, dreamer/dreamers, newcomer/newcomers, refugee/refugees",
        "borders, welcome centers, immigration courts, bridges to our neighbors",
        "the promise of America, our heritage as a nation of immigrants, the unity of families, the hope of a new life",
        "the fear of deportation, the backlog of cases, the number of broken families",
        "fix a broken system, secure our borders, welcome the stranger, keep families together, "
        "offer a path to citizenship",
    ),
    "science": _topic(
        "inventor/inventors, researcher/researchers, astronaut/astronauts, young scientist/young scientists",
        "laboratories, telescopes, research centers, spacecraft",
        "the spirit of discovery, basic research, our lead in technology, the curiosity of our children",
        "the cost of research, the neglect of science, the shortage of engineers",
        "send explorers to Mars, map the human brain, unlock the secrets of nature, win the race for new discoveries, "
        "teach science to every child",
    ),
}

ON_PEOPLE = ("support", "honor", "protect", "stand with", "invest in", "listen to", "fight for", "believe in")
ON_PLACES = ("build", "rebuild", "modernize", "strengthen", "repair")
ON_GOODS = ("defend", "expand", "protect", "secure", "guarantee", "fight for", "preserve")
ON_BURDENS = ("cut", "lower", "reduce", "bring down", "confront")
SACRIFICES = (
    "work two jobs", "wake up before dawn", "keep on fighting", "refuse to quit", "play by the rules",
    "ask for nothing in return", "put others first", "carry on in hard times", "do more with less", "keep the faith",
)  # fmt: skip
STATES = (
    "Ohio", "Iowa", "Michigan", "Virginia", "Colorado", "Nevada", "Florida", "Pennsylvania", "Wisconsin", "Texas",
    "Maine", "New Mexico", "Kansas", "Oregon", "Georgia", "Montana",
)  # fmt: skip
CITIES = (
    "Chicago", "Detroit", "Cleveland", "Boston", "Denver", "Atlanta", "Pittsburgh", "Houston", "Seattle", "Newark",
    "Memphis", "Toledo", "Baltimore", "Oakland",
)  # fmt: skip
SPANS = ("two", "three", "four", "five", "eight", "ten", "twenty")
MODALS = ("will", "must", "can", "should")
