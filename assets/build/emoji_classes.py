"""The 40 classes of the emoji data set: Unicode subgroups, filtered by the English label.

CLASSES maps a class to (subgroup, keep, drop) rules, where keep and drop are regular expressions on
the label and "" means no filter. An emoji belongs to the first class, in alphabetical order, that
has a matching rule.
"""

import re

CLASSES = {
    "aircraft": [("transport-air", "airplane|helicopter|rocket|saucer|satellite|parachute", "")],
    "arrow": [("arrow", "", "")],
    "bird": [("animal-bird", "", "feather|wing")],
    "boat": [("transport-water", "", "anchor|buoy")],
    "book": [("book-paper", "book|ledger|newspaper|page|scroll", "")],
    "building": [
        ("place-building", "", "brick|rock|wood|wedding|Statue|tower"),
        ("place-religious", "", "kaaba"),
    ],
    "button": [("av-symbol", "button", "")],
    "car": [
        (
            "transport-ground",
            "ambulance|engine|police car$|taxi|automobile|sport util|pickup|truck|lorry|racing car"
            "|bus$|rickshaw|tractor|trolley",
            "",
        )
    ],
    "clock": [("time", "", "")],
    "clothing": [
        (
            "clothing",
            "coat|vest|shirt|jeans|dress|kimono|sari|swimsuit|shorts|briefs|bikini|clothes|scarf"
            "|socks|gloves|necktie",
            "",
        ),
        ("sport", "uniform|running shirt", ""),
    ],
    "computer": [
        ("computer", "laptop|desktop|printer|keyboard|disk|dvd|mouse|trackball", ""),
        ("phone", "", ""),
    ],
    "dessert": [("food-sweet", "", ""), ("food-asian", "moon cake|dango|fortune", "")],
    "drink": [("drink", "", "^ice$")],
    "envelope": [
        ("mail", "envelope|e-mail|tray|mailbox|postbox", ""),
        ("heart", "love letter", ""),
    ],
    "face": [
        (f"face-{kind}", "", "")
        for kind in (
            "smiling affection tongue hand neutral-skeptical sleepy unwell hat glasses concerned"
        ).split()
    ],
    "fish": [("animal-marine", "", "shell|coral|crab|lobster|shrimp|oyster")],
    "flower": [("plant-flower", "", "")],
    "fruit": [("food-fruit", "", "")],
    "hand": [
        ("hand-fingers-open", "", ""),
        ("hand-fingers-partial", "", ""),
        ("hand-single-finger", "", ""),
        ("hand-fingers-closed", "", ""),
        ("hands", "", "raising"),
    ],
    "heart": [("heart", "", "love letter"), ("game", "heart suit", "")],
    "insect": [("animal-bug", "", "web|snail|worm|microbe")],
    "keycap": [("keycap", "", "")],
    "mammal": [("animal-mammal", "", "paw|nose|cat face|tiger face")],
    "meal": [
        ("food-prepared", "", "salt|butter"),
        ("food-asian", "", "moon cake|dango|fortune"),
    ],
    "medicine": [("medical", "", ""), ("science", "", "satellite")],
    "moon": [("sky-weather", "moon", "")],
    "musical_instrument": [("musical-instrument", "", "")],
    "person": [("person", "", ""), ("person-role", "", ""), ("person-fantasy", "", "snowman")],
    "plant": [
        ("plant-other", "", "nest|mushroom|coral"),
        ("event", "Christmas tree|tanabata|pine dec", ""),
    ],
    "reptile": [("animal-reptile", "", ""), ("animal-amphibian", "", "")],
    "road_sign": [
        ("warning", "", "^radio|^bio"),
        ("transport-ground", "stop sign|construction", ""),
    ],
    "shape": [("geometric", "", "button")],
    "shoe": [
        ("clothing", "shoe|boot|sandal|ballet", ""),
        ("sport", "skate", ""),
        ("transport-ground", "roller skate", ""),
    ],
    "sport_player": [
        ("person-sport", "", ""),
        ("person-activity", "walking|running|climbing|kneeling|standing", ""),
    ],
    "sports_ball": [
        (
            "sport",
            "ball|tennis|bowling|cricket|hockey|lacrosse|ping|badminton|disc",
            "",
        ),
        ("game", "8 ball", ""),
    ],
    "tool": [
        ("tool", "", "shield|scale|magnet|link|bomb|boomerang|cane|chain"),
        ("office", "scissors", ""),
    ],
    "train": [
        (
            "transport-ground",
            "locomotive|railway car|train|metro|light rail|tram|monorail|mountain railway|station",
            "",
        )
    ],
    "vegetable": [("food-vegetable", "", ""), ("plant-other", "mushroom", "")],
    "weather": [
        (
            "sky-weather",
            "cloud|sun|tornado|fog|wind|cyclone|rainbow|umbrella|voltage|snow",
            "",
        )
    ],
    "zodiac_sign": [("zodiac", "", ""), ("religion", "", "menorah")],
}
NAMES = sorted(CLASSES)
NUM_KNOWN = 28  # L_p is the first 28 classes


def class_of(label: str, subgroup: str) -> str | None:
    """The class of an emoji with this English label and Unicode subgroup, or None."""
    for name in NAMES:
        for group, keep, drop in CLASSES[name]:
            if group != subgroup or (drop and re.search(drop, label)):
                continue
            if not keep or re.search(keep, label):
                return name
    return None
