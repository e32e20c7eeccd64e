"""VisDA-2017 classification (Peng et al., 2017): 12 classes; synthetic "train", real "validation".

Each of the two is a domain. The class "train" is a folder inside a domain of that name.
"""

from dassl.data.datasets import DATASET_REGISTRY

from ueo.datasets.class_folders import ClassFolderDataset
from ueo.datasets.published import on_mirror
from ueo.fetch.download import Piece, Remote
from ueo.label_space import ClassCounts


@DATASET_REGISTRY.register()
class UFTVisDAC(ClassFolderDataset):
    title = "VisDA-C"
    dataset_dir = "visda_c"
    folder_names = ("visda17", "visda", "visda2017")
    domains = targets = ("train", "validation")
    domain_names = {"train": ("synthetic",), "validation": ("val", "real")}
    counts = ClassCounts(total=12, known=8, partial=6, open_partial=6, seen_ood=2)
    published = {"train": 152397, "validation": 55388}
    per_class = {
        "validation": (3646, 3475, 4690, 10401, 4691, 2075, 5796, 4000, 4549, 2281, 4236, 5548)
    }
    class_list = (
        "aeroplane bicycle bus car horse knife motorcycle person plant skateboard train truck"
    ).split()
    pieces = tuple(
        Piece(
            domain,
            (
                (Remote(f"https://csr.bu.edu/ftp/visda17/clf/{domain}.tar", f"{domain}.tar"),),
                (Remote(f"gdrive:{drive}", f"{domain}.tar"),),
                (on_mirror(number, f"{domain}.tar"),),
            ),
            "https://github.com/VisionLearningGroup/taskcv-2017-public",
        )
        for domain, drive, number in (
            ("train", "0BwcIeDbwQ0XmdENwQ3R4TUVTMHc", "c5f3ce59139144ec8221"),
            ("validation", "0BwcIeDbwQ0XmUEVJRjl4Tkd4bTA", "da70e4b1cf514ecea562"),
        )
    )
    size = "about 10 GB"
    terms = (
        "VisDA-2017: non-commercial research and education only; do not distribute the images; no "
        "warranties. Cite Peng et al., VisDA: The Visual Domain Adaptation Challenge."
    )
