"""Office-Home (Venkateswara et al., CVPR 2017): 65 classes, 4 domains, 15,588 images.

Class ids follow UEO's released code: names in lower case, sorted. Sorting the folders' names puts
"TV" before "Table", which changes the unknown classes; so a folder's class is found by its name.
"""

from dassl.data.datasets import DATASET_REGISTRY

from ueo.datasets.class_folders import ClassFolderDataset
from ueo.datasets.published import on_mirror
from ueo.fetch.download import Piece, Remote
from ueo.label_space import ClassCounts

ARCHIVE = "OfficeHomeDataset_10072016.zip"


@DATASET_REGISTRY.register()
class UFTOfficeHome(ClassFolderDataset):
    title = "Office-Home"
    dataset_dir = "office_home"
    folder_names = ("OfficeHomeDataset", "OfficeHomeDataset_10072016")
    domains = targets = ("Art", "Clipart", "Product", "RealWorld")
    domain_names = {"RealWorld": ("Real World", "Real")}
    counts = ClassCounts(total=65, known=50, partial=35, open_partial=35, seen_ood=10)
    published = {"Art": 2427, "Clipart": 4365, "Product": 4439, "RealWorld": 4357}
    per_block = {  # classes 0-34, 35-49, 50-59, 60-64
        "Art": (1546, 396, 345, 140),
        "Clipart": (2396, 948, 691, 330),
        "Product": (2518, 927, 640, 354),
        "RealWorld": (2452, 872, 698, 335),
    }
    class_list = """
        alarm_clock backpack batteries bed bike bottle bucket calculator calendar candles chair
        clipboards computer couch curtains desk_lamp drill eraser exit_sign fan file_cabinet
        flipflops flowers folder fork glasses hammer helmet kettle keyboard knives lamp_shade
        laptop marker monitor mop mouse mug notebook oven pan paper_clip pen pencil postit_notes
        printer push_pin radio refrigerator ruler scissors screwdriver shelf sink sneakers soda
        speaker spoon table telephone toothbrush toys trash_can tv webcam""".split()
    pieces = (
        Piece(
            "images",
            (
                (Remote("gdrive:0B81rNlvomiwed0V1YUxQdC1uOTg:0-2SNWq0CDAuWOBRRBL7ZZsw", ARCHIVE),),
                (Remote("gdrive:1uY0pj7oFsjMxRwaD3Sxy0jgel0fsYXLC", ARCHIVE),),
                (Remote("gdrive:1USXqK4nCvOAR5Ty4iwKcuCOrRJoRuDyU", ARCHIVE),),
                (Remote("gdrive:1FM7FAU8Q_CZaXnK95U4CEn52mEHFtNnm", ARCHIVE),),
                (Remote("https://wjdcloud.blob.core.windows.net/dataset/OfficeHome.zip", ARCHIVE),),
                (on_mirror("6a006656b9a14567ade2", "Art.tgz"),
                 on_mirror("ae88aa31d2d7411dad79", "Clipart.tgz"),
                 on_mirror("f219b0ff35e142b3ab48", "Product.tgz"),
                 on_mirror("6c19f3f15bb24ed3951a", "Real_World.tgz")),
            ),
            "https://www.hemanthdv.org/officeHomeDataset.html",
        ),
    )
    size = "about 1.2 GB"
    terms = (
        "Office-Home: fair use notice of its authors; non-commercial research and education only. "
        "Cite Venkateswara et al., Deep Hashing Network for Unsupervised Domain Adaptation."
    )
