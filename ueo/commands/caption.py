"""Caption the images of a folder with a captioner of the BLIP family, for the trainer ARF.

    bash scripts/caption.sh --images data/my/images --output captions.jsonl \\
        --model Salesforce/blip-image-captioning-base

Paths in the output are relative to --images, so name the folder of the data set there. The command
needs the extra `captions` (transformers). An interrupted call continues where it stopped.
"""

import argparse
import os

from ueo.commands import HelpFormatter
from ueo.pairs.captioner import Captioner, check_output, write_captions
from ueo.runs.start import chosen_device
from ueo.runs.status import command
from ueo.settings.options import folder, number


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=HelpFormatter)
    add = p.add_argument
    add("--images", type=folder("--images"), required=True,
        help="folder of images, searched recursively")
    add("--output", type=folder("--output"), required=True, help="JSON lines file to write")
    add("--model", default="Salesforce/blip-image-captioning-base",
        help="folder of weights, or model id on the Hugging Face hub")
    add("--number", type=number("--number", low=1), default=1, help="captions per image")
    add("--length", type=number("--length", low=1), default=30, help="maximum tokens per caption")
    add("--batch-size", type=number("--batch-size", low=1), default=16, help="images per batch")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="device to run on")
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    if check_output(args.output, args.images):
        print(f"Finished before: {args.output}; remove it to caption again with another --model")
        return 0
    device = chosen_device(args.device)
    captioner = Captioner(args.model, device, args.number, args.length)
    how = {"images": os.path.abspath(args.images), "model": args.model, "number": args.number,
           "length": args.length}
    count = write_captions(args.images, args.output, how, args.batch_size, captioner)
    print(f"{args.output}: {count} images captioned")
    return 0
