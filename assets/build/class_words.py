"""Classes of the emoji data set from the names of icons.

Style words are removed from a name first. The name then has the class that lists its last word, or
the whole name, in WORDS; names that start with "arrow" are arrows, too. Ambiguous words (mouse,
drill, bow, orange) are left out.
"""

import re

STYLE_WORDS = set(
    "outline outlined solid fill filled line linear bold duotone duo sharp rounded round"
    " twotone tone two thin light broken regular off slash alt color colour flat baseline"
    " square circle light bulk sm md lg xl small medium large mini micro s l m xs 16 20 24 28"
    " 32 48 12 1 2 3 4 5 6 7 8 9 0 variant streamline block remix ultimate core flex plump"
    " freehand kameleon stickies cyber o"
.split()
)
WORDS = {
    "aircraft": "airplane aeroplane plane helicopter rocket jet airliner parachute ufo drone",
    "arrow": "arrow arrows",
    "bird": "bird eagle duck owl penguin chicken hen rooster parrot swan flamingo dove crow turkey"
    " sparrow pigeon goose raven hummingbird peacock",
    "boat": "boat ship sailboat canoe ferry yacht speedboat kayak submarine motorboat",
    "book": "book books notebook newspaper scroll journal diary bookmark",
    "building": "house building church castle hospital school factory mosque hotel home skyscraper"
    " office temple synagogue cottage barn apartment pagoda stadium bank store",
    "car": "car bus truck taxi ambulance tractor van automobile suv lorry minibus pickup jeep",
    "clock": "clock alarm watch stopwatch timer hourglass stopclock",
    "clothing": "shirt dress coat jacket jeans trousers pants scarf sock socks glove gloves necktie"
    " tie shorts hoodie sweater bikini swimsuit kimono skirt t-shirt tshirt vest underwear",
    "computer": "computer laptop keyboard printer desktop smartphone phone telephone cellphone"
    " mobile floppy disk imac trackball cd dvd",
    "dessert": "cake cupcake donut doughnut cookie chocolate lollipop candy icecream pie custard"
    " honey sundae muffin pudding",
    "drink": "coffee tea beer wine cocktail martini beverage juice soda milk drink champagne mug"
    " espresso sake boba",
    "envelope": "envelope email mail mailbox inbox letter postbox",
    "face": "face smiley smile emoji grin frown sad happy laugh wink angry",
    "fish": "fish shark whale dolphin octopus squid seal pufferfish salmon jellyfish",
    "flower": "flower rose tulip sunflower blossom hibiscus lotus daisy bouquet lily",
    "fruit": "fruit apple banana cherry cherries grape grapes strawberry pear peach pineapple"
    " watermelon lemon melon mango kiwi avocado tomato coconut blueberry raspberry fruits lime",
    "hand": "hand fist thumb pointer clap handshake palm thumbs wave finger hands",
    "heart": "heart hearts",
    "insect": "insect bug bee ant butterfly beetle ladybug spider mosquito fly cricket caterpillar"
    " cockroach dragonfly scorpion bugs ladybird wasp",
    "mammal": "cat dog horse cow pig rabbit elephant lion tiger bear monkey fox wolf"
    " sheep goat deer"
    " squirrel hedgehog panda koala camel giraffe zebra kangaroo gorilla bat raccoon otter hippo"
    " rhinoceros llama badger sloth ox buffalo boar mammoth moose donkey",
    "meal": "pizza burger hamburger sandwich taco burrito noodles rice bread fries sushi cheese"
    " pancake pancakes waffle bacon steak hotdog croissant bagel pretzel salad soup curry egg ramen"
    " baguette popcorn spaghetti meat dumpling",
    "medicine": "pill pills syringe microscope stethoscope bandage capsule thermometer dna tablet"
    " telescope flask medicine vaccine petri vial bandaid plaster",
    "moon": "moon crescent",
    "musical_instrument": "guitar piano violin drum trumpet saxophone accordion banjo flute drums"
    " harp cello tuba harmonica maracas",
    "person": "person user man woman boy girl baby child doctor nurse farmer teacher wizard"
    " astronaut superhero policeman firefighter detective user-circle face-man male female ninja"
    " vampire",
    "plant": "plant tree leaf cactus clover seedling sprout herb palm leaves sapling potted",
    "reptile": "snake turtle lizard crocodile dinosaur frog tortoise gecko dragon alligator",
    "shape": "triangle hexagon pentagon octagon rhombus diamond shape",
    "shoe": "shoe boot shoes boots sneaker sandal sneakers heels skate highheel slipper footwear"
    " high-heel flipflop",
    "sport_player": "runner swimmer running swimming surfing skiing cyclist walk run walking hiking"
    " climbing snowboarding golfer swim surfer rowing skier juggling wrestling biking",
    "sports_ball": "basketball football soccer baseball volleyball tennis golf bowling rugby ball"
    " cricket hockey badminton softball ping-pong frisbee",
    "tool": "hammer wrench screwdriver axe saw pickaxe scissors shovel spanner pliers dagger sword"
    " swords tool tools screw nut",
    "train": "train tram subway locomotive metro railway monorail",
    "vegetable": "carrot broccoli corn potato mushroom onion pepper eggplant cucumber"
    " lettuce garlic"
    " vegetable cabbage radish pumpkin peas chili",
    "weather": "cloud sun rain snow storm thunderstorm tornado rainbow wind lightning snowflake fog"
    " sunny cloudy umbrella thunder hurricane drizzle",
    "zodiac_sign": "aries taurus gemini cancer leo virgo libra scorpio sagittarius"
    " capricorn aquarius"
    " pisces zodiac",
    "button": "play pause stop eject rewind forward record shuffle repeat",
    "road_sign": "warning caution prohibited no-entry no-smoking",
}
_CLASS = {word: name for name, words in WORDS.items() for word in words.split()}


def words_of(name: str) -> tuple[str, ...]:
    """The first five words of an icon's name, without style words and numbers."""
    words = [w for w in re.split(r"[^a-z0-9]+", name.lower()) if w]
    kept = [w for w in words if w not in STYLE_WORDS and not w.isdigit()]
    return tuple(kept[:5])


def class_of_name(words: tuple[str, ...]) -> str | None:
    """The class of a name, or None. Names of more than three words have none."""
    if not words or len(words) > 3:
        return None
    if words[0] in ("arrow", "arrows"):
        return "arrow"
    found = _CLASS.get("-".join(words)) or _CLASS.get(words[-1])
    return found
