"""Office-31 (Saenko et al., ECCV 2010): 31 classes of office objects, 3 domains, 4,110 images.

The published layout is <domain>/images/<class>/; the level images/ may be missing.
"""

from dassl.data.datasets import DATASET_REGISTRY

from ueo.datasets.class_folders import ClassFolderDataset
from ueo.datasets.published import on_mirror
from ueo.fetch.download import Piece, Remote
from ueo.label_space import ClassCounts


@DATASET_REGISTRY.register()
class UFTOffice31(ClassFolderDataset):
    title = "Office-31"
    dataset_dir = "office31"
    folder_names = ("office", "office_31", "domain_adaptation_images")
    domains = targets = ("amazon", "dslr", "webcam")
    counts = ClassCounts(total=31, known=25, partial=20, open_partial=15, seen_ood=3)
    published = {"amazon": 2817, "dslr": 498, "webcam": 795}
    per_class = {
        "amazon": (
            92, 82, 72, 82, 36, 94, 91, 97, 97, 81, 99, 100, 100, 98, 100, 99, 100, 94, 96, 95, 93,
            100, 98, 98, 90, 75, 100, 99, 99, 96, 64,
        ),
        "dslr": (
            12, 21, 24, 12, 16, 12, 13, 14, 15, 15, 13, 10, 24, 16, 31, 22, 12, 8, 10, 10, 13, 15,
            23, 18, 10, 7, 18, 26, 21, 22, 15,
        ),
        "webcam": (
            29, 21, 28, 12, 16, 31, 40, 18, 21, 19, 27, 27, 30, 19, 30, 43, 30, 27, 28, 32, 16, 20,
            30, 27, 40, 11, 25, 30, 24, 23, 21,
        ),
    }
    class_list = """
        back_pack bike bike_helmet bookcase bottle calculator desk_chair desk_lamp desktop_computer
        file_cabinet headphones keyboard laptop_computer letter_tray mobile_phone monitor mouse mug
        paper_notebook pen phone printer projector punchers ring_binder ruler scissors speaker
        stapler tape_dispenser trash_can""".split()
    pieces = (
        Piece(
            "images",
            (
                (Remote("gdrive:0B4IapRTv9pJ1WGZVd1VDMmhwdlE:0-gNMHVtZfRAyO_t2_WrOunA",
                        "domain_adaptation_images.tar.gz"),),
                (Remote("https://wjdcloud.blob.core.windows.net/dataset/OFFICE31.zip",
                        "OFFICE31.zip"),),
                (on_mirror("ec12dfcddade43ab8101", "amazon.tgz"),
                 on_mirror("a41d818ae2f34da7bb32", "dslr.tgz"),
                 on_mirror("8a41009a166e4131adcd", "webcam.tgz")),
            ),
            "https://faculty.cc.gatech.edu/~judy/domainadapt/",
        ),
    )
    size = "some ten MB"
    terms = (
        "Office-31: no licence is published with the images; use them for research alone and do "
        "not pass them on. Cite Saenko et al., Adapting Visual Category Models to New Domains."
    )
