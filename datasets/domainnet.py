"""DomainNet (Peng et al., ICCV 2019), cleaned version: 345 classes, 6 domains, 586,575 images.

The official lists <domain>_train.txt and <domain>_test.txt hold the images and their class ids.
Under both protocols the former are unlabelled, and the latter are tested on. Ids are those of the
lists, which are in no sorted order. Not every list has every class: painting has no "t-shirt" to
train on and no "syringe" to test on.
"""

import os
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from ueo.datasets.published import Comparison, PublishedDataset, on_mirror
from ueo.errors import DataError
from ueo.fetch.download import Piece, Remote
from ueo.files import sums
from ueo.images.folders import Item, existing
from ueo.images.lists import read_list
from ueo.label_space import ClassCounts
from ueo.names import loose

CLASSES = """
    aircraft_carrier airplane alarm_clock ambulance angel animal_migration ant anvil apple arm
    asparagus axe backpack banana bandage barn baseball baseball_bat basket basketball bat
    bathtub beach bear beard bed bee belt bench bicycle binoculars bird birthday_cake blackberry
    blueberry book boomerang bottlecap bowtie bracelet brain bread bridge broccoli broom bucket
    bulldozer bus bush butterfly cactus cake calculator calendar camel camera camouflage
    campfire candle cannon canoe car carrot castle cat ceiling_fan cello cell_phone chair
    chandelier church circle clarinet clock cloud coffee_cup compass computer cookie cooler
    couch cow crab crayon crocodile crown cruise_ship cup diamond dishwasher diving_board dog
    dolphin donut door dragon dresser drill drums duck dumbbell ear elbow elephant envelope
    eraser eye eyeglasses face fan feather fence finger fire_hydrant fireplace firetruck fish
    flamingo flashlight flip_flops floor_lamp flower flying_saucer foot fork frog frying_pan
    garden garden_hose giraffe goatee golf_club grapes grass guitar hamburger hammer hand harp
    hat headphones hedgehog helicopter helmet hexagon hockey_puck hockey_stick horse hospital
    hot_air_balloon hot_dog hot_tub hourglass house house_plant hurricane ice_cream jacket jail
    kangaroo key keyboard knee knife ladder lantern laptop leaf leg light_bulb lighter
    lighthouse lightning line lion lipstick lobster lollipop mailbox map marker matches
    megaphone mermaid microphone microwave monkey moon mosquito motorbike mountain mouse
    moustache mouth mug mushroom nail necklace nose ocean octagon octopus onion oven owl
    paintbrush paint_can palm_tree panda pants paper_clip parachute parrot passport peanut pear
    peas pencil penguin piano pickup_truck picture_frame pig pillow pineapple pizza pliers
    police_car pond pool popsicle postcard potato power_outlet purse rabbit raccoon radio rain
    rainbow rake remote_control rhinoceros rifle river roller_coaster rollerskates sailboat
    sandwich saw saxophone school_bus scissors scorpion screwdriver sea_turtle see_saw shark
    sheep shoe shorts shovel sink skateboard skull skyscraper sleeping_bag smiley_face snail
    snake snorkel snowflake snowman soccer_ball sock speedboat spider spoon spreadsheet square
    squiggle squirrel stairs star steak stereo stethoscope stitches stop_sign stove strawberry
    streetlight string_bean submarine suitcase sun swan sweater swing_set sword syringe table
    teapot teddy-bear telephone television tennis_racquet tent The_Eiffel_Tower
    The_Great_Wall_of_China The_Mona_Lisa tiger toaster toe toilet tooth toothbrush toothpaste
    tornado tractor traffic_light train tree triangle trombone truck trumpet t-shirt umbrella
    underwear van vase violin washing_machine watermelon waterslide whale wheel windmill
    wine_bottle wine_glass wristwatch yoga zebra zigzag""".split()
LIST_FOLDERS = ("", "splits", "txt", "image_list", "list", "lists", "list/DOMAINNET")
SERVER = "https://csr.bu.edu/ftp/visda/2019/multi-source"
PAGE = "https://ai.bu.edu/M3SDA/"
IMAGES = {  # domain: (archive on the official server, on the mirror)
    "clipart": ("groundtruth/clipart.zip", "f0515164a4864220b98b"),
    "infograph": ("infograph.zip", "98b19d5fc9884109a9cb"),
    "painting": ("groundtruth/painting.zip", "11285ce9fbd34bb7b28c"),
    "quickdraw": ("quickdraw.zip", "6faa9efb498b494abf66"),
    "real": ("real.zip", "17a101842c564959b525"),
    "sketch": ("sketch.zip", "b305add26e9d47349495"),
}
LISTS = {  # list: checksum, if known
    "clipart_train": "md5:b4349693a7f9c05c53955725c47ed6cb",
    "clipart_test": "md5:f5ddbcfd657a3acf9d0f7da10db22565",
    "infograph_train": "md5:379b50054f4ac2018dca4f89421b92d9",
    "infograph_test": "md5:779626b50869edffe8ea6941c3755c71",
    "painting_train": "md5:7db0e7ca73ad9982f6e1f7f3ef372c0a",
    "painting_test": "md5:232b35dc53f26d414686ae579e38d9b5",
    "quickdraw_train": "",
    "quickdraw_test": "md5:a1c828fdfe216fb109f1c0083a252c6f",
    "real_train": "",
    "real_test": "md5:6098816791c3ebed543c71ffa11b9054",
    "sketch_train": "md5:1233bd18aa9a8a200bf4cecf1c34ef3e",
    "sketch_test": "md5:d8a222e4672cfd585298aa14d02ea441",
}


@DATASET_REGISTRY.register()
class UFTDomainNet(PublishedDataset):
    title = "DomainNet"
    dataset_dir = "domainnet"
    folder_names = ("domain_net",)
    domains = targets = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
    counts = ClassCounts(total=345, known=300, partial=250, open_partial=250, seen_ood=30)
    listed = {  # lines of the train and the test list
        "clipart": (33525, 14604),
        "infograph": (36023, 15582),
        "painting": (50416, 21850),
        "quickdraw": (120750, 51750),
        "real": (120906, 52041),
        "sketch": (48212, 20916),
    }
    published = {domain: train + test for domain, (train, test) in listed.items()}
    class_list = CLASSES
    pieces = (
        *(Piece(domain, ((Remote(f"{SERVER}/{archive}", f"{domain}.zip"),),
                         (on_mirror(number, f"{domain}.tgz"),)), PAGE)
          for domain, (archive, number) in IMAGES.items()),
        *(Piece(f"{name}.txt", ((Remote(f"{SERVER}/domainnet/txt/{name}.txt", f"{name}.txt",
                                        checksum),),), PAGE)
          for name, checksum in LISTS.items()),
    )
    size = "about 17.5 GB for all domains"
    terms = (
        "DomainNet: fair use notice of its authors; academic, non-commercial research and "
        "education only. Cite Peng et al., Moment Matching for Multi-Source Domain Adaptation."
    )

    def released(self, domain: str) -> tuple[list[Item], list[Item]]:
        return self.independent(domain)

    def items(self, domain: str, part: str) -> list[Item]:
        return self.listed_items(self.root, domain, part)

    @classmethod
    def listed_items(cls, root: Path, domain: str, part: str) -> list[Item]:
        """Return (path, class id) of each line of a list. Raises DataError for a missing or wrong
        list and for a missing image."""
        file = cls.list_file(root, f"{domain}_{part}.txt")
        listed = read_list(file, len(CLASSES))
        for name, label in listed:
            folder = os.path.basename(os.path.dirname(name))
            if loose(folder) != loose(CLASSES[label]):
                raise DataError(
                    f"{file}: {name!r} has the label {label}, which is {CLASSES[label]!r}; the "
                    "list is of another version or damaged"
                )
        # lists name images relative to the data set's folder, or to the one that holds it
        top = listed[0][0].split("/")[0]
        base = root if loose(top) == loose(domain) else root.parent
        if base == root:
            cls.domain_folder(root, domain)
        items = [(os.path.join(base, name), label) for name, label in listed]
        return existing(items, file, "unpack the archive of that domain anew")

    @classmethod
    def list_file(cls, root: Path, name: str) -> Path:
        """Return the path of a list. Raises DataError if it is missing."""
        for folder in LIST_FOLDERS:
            if (root / folder / name).is_file():
                return root / folder / name
        raise DataError(
            f"{root}: the list {name} is missing; fetch it from {SERVER}/domainnet/txt/ (the "
            "cleaned version) and put it there or into splits/"
        )

    @classmethod
    def is_there(cls, data_root: str, piece: Piece) -> bool:
        root = cls.find(data_root)
        if root is None or piece.name in cls.domains:
            return super().is_there(data_root, piece)
        try:
            return cls.list_file(root, piece.name).is_file()
        except DataError:
            return False

    @classmethod
    def compare(cls, root: Path, domain: str, deep: bool) -> Comparison:
        train, test = cls.listed[domain]
        found = Comparison(f"{train} images to train on, {test} to test on")
        paths = []
        for part, expected in zip(("train", "test"), cls.listed[domain]):
            listed = cls.listed_items(root, domain, part)
            paths += [path for path, _ in listed]
            name = f"{domain}_{part}.txt"
            found.numbers(len(listed), expected, f"lines in {name}")
            checksum = LISTS[f"{domain}_{part}"]
            if not checksum:
                found.left.append(f"the MD5 of {name} (not known here)")
            elif checksum != f"md5:{sums(cls.list_file(root, name))['md5']}":
                found.differs.append(f"{name} has another MD5 than the published version")
        found.compared.append("lines, labels and MD5 of the lists, each listed image is there")
        found.left.append("the pictures themselves")
        found.files(paths, deep)
        return found
