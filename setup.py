"""UEO toolbox: metadata and dependencies. Exact tested versions stand in constraints.txt.

The folders trainers/, datasets/ and assets/ stand at the top of the repository and are imported as
`ueo.trainers`, `ueo.datasets` and `ueo.assets`, so that no environment gets a global `datasets`.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "ueo/__init__.py").read_text()).group(1)
PLUGINS = ("trainers", "datasets", "assets")
OPEN_CLIP = ["open_clip_torch>=3.2,<4"]  # --backbone open_clip:NAME/WEIGHTS
HEIC = ["pillow-heif>=0.18"]  # photographs of phones
SHARDS = ["webdataset>=1.0,<2"]  # images in tar files: docs/streams.md
ONNX = ["onnx>=1.17", "onnxscript>=0.5", "onnxruntime>=1.20"]  # model.onnx of scripts/export.sh

setup(
    name="ueo-toolbox",
    version=VERSION,
    description="Unsupervised universal fine-tuning of CLIP: UEO and its peers, in Dassl's style",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["ueo", "ueo.*", "modern_dassl", "modern_dassl.*"]),
        *(f"ueo.{name}" for name in PLUGINS),
    ],
    package_dir={f"ueo.{name}": name for name in PLUGINS},
    package_data={"ueo.assets": ["emoji*", "icon_pool.zip*", "tiny_clip.*", "tiny_vit.*",
                               "negative_words.*", "LICENCES/*"],
                  "ueo.inference": ["report.*"]},
    install_requires=[
        "torch>=2.3",  # torch.amp.GradScaler
        "torchvision>=0.18",
        "clip-anytorch>=2.6",  # OpenAI's clip; the package named "clip" on PyPI is another one
        "setuptools<81",  # clip imports pkg_resources
        "yacs>=0.1.8",
        "PyYAML>=6",
        "tabulate>=0.9",
        "gdown>=5",
        "requests>=2.28",
        "tqdm>=4.60",
        "numpy>=1.24",
        "Pillow>=10",
        "scikit-learn>=1.3",
        "scipy>=1.10",
        "safetensors>=0.4",
        "filelock>=3.12",
        "matplotlib>=3.7",
    ],
    extras_require={
        "test": ["pytest>=8", "pytest-xdist>=3.5", "ruff>=0.6", "submitit>=1.5", *ONNX, *HEIC,
                 *OPEN_CLIP, *SHARDS],
        "slurm": ["submitit>=1.5"],
        "captions": ["transformers>=4.46"],  # scripts/caption.sh
        "open_clip": OPEN_CLIP,
        "onnx": ONNX,
        "heic": HEIC,
        "shards": SHARDS,
        "assets": ["resvg-py==0.5.0"],  # maintainers: rebuild what is in assets/
    },
)
