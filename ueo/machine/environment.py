"""Check Python, torch and its CUDA, the engine and optional packages."""

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec

import torch

import modern_dassl
from ueo.errors import first_line
from ueo.machine.findings import NOTE, OK, WRONG, Finding
from ueo.results.record import version_of

OPTIONAL = {"submitit": "--slurm", "transformers": "scripts/caption.sh"}
WITHOUT_GPU = "runs use the CPU"


def software() -> Iterator[Finding]:
    """Report versions, and whether torchvision was built for this torch."""
    yield Finding(OK, "python", platform.python_version())
    import torchvision

    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)  # fails if built for another torch
    yield Finding(OK, "torch", f"{torch.__version__}, torchvision {torchvision.__version__}")
    yield Finding(OK, "engine", modern_dassl.engine_name())
    for package, use in OPTIONAL.items():
        if find_spec(package) is None:
            yield Finding(NOTE, package, f"not installed, {use} needs it: pip install {package}")
        else:
            yield Finding(OK, package, version_of(package) or "of an unknown version")


def cuda(driver: str | None) -> Iterator[Finding]:
    """Report whether torch can use the GPUs. driver: from `driver_version`."""
    built = torch.version.cuda
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            yield _gpu(number, built, driver)
    elif driver is None:
        yield Finding(NOTE, "gpu", f"none found (nvidia-smi finds no driver); {WITHOUT_GPU}")
    elif built is None:
        yield Finding(WRONG, "gpu", f"driver {driver} is installed, but torch {torch.__version__} "
                      "was built without CUDA: install a build with CUDA")
    else:
        yield Finding(WRONG, "gpu", f"torch, built for CUDA {built}, cannot use driver {driver} "
                      f"({_why()}): install a newer driver, or a torch for an older CUDA")


def _gpu(number: int, built: str | None, driver: str | None) -> Finding:
    major, minor = torch.cuda.get_device_capability(number)
    name = torch.cuda.get_device_name(number)
    told = f"{name}, driver {driver or 'unknown'}, torch built for CUDA {built}"
    known = torch.cuda.get_arch_list()
    # a build for sm_80 also runs on 8.6, and PTX (compute_80) on anything newer
    builds = [(kind, divmod(int(digits), 10)) for arch in known
              for kind, digits in re.findall(r"^(sm|compute)_(\d+)", arch)]
    runs = [build <= (major, minor) and (kind == "compute" or build[0] == major)
            for kind, build in builds]
    if known and not any(runs):
        return Finding(WRONG, f"gpu {number}", f"{told}, which has no kernels for its architecture "
                       f"sm_{major}{minor} ({', '.join(known)}): install a torch that does")
    return Finding(OK, f"gpu {number}", told)


def _why() -> str:
    try:
        torch.cuda.init()
    except Exception as error:  # RuntimeError, AssertionError, ...
        return first_line(error)[:200]
    return "no device is visible; is CUDA_VISIBLE_DEVICES right?"


def driver_version() -> str | None:
    """Return the version of NVIDIA's driver; None if there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.split()
    return lines[0] if done.returncode == 0 and lines else None
