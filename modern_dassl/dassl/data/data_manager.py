"""Build loaders from a data set."""

import torch
from dassl.data.datasets import build_dataset
from dassl.data.samplers import build_sampler
from dassl.data.transforms import INTERPOLATION_MODES, build_transform
from dassl.utils import ConfigValueError, DataValueError, read_image
from tabulate import tabulate
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

from modern_dassl.loading import EpochLoader, Seeded


def build_data_loader(
    cfg,
    sampler_type: str = "SequentialSampler",
    data_source=None,
    batch_size: int = 64,
    n_domain: int = 0,
    n_ins: int = 2,
    tfm=None,
    is_train: bool = True,
    dataset_wrapper=None,
) -> DataLoader:
    """Build a loader of dictionaries, see DatasetWrapper.

    A training loader draws one number per epoch from torch's global random state. It determines the
    order and all randomness of the items, for any number of workers; these are persistent. An
    evaluation loader has its own generator, so an evaluation does not change later training. Under
    torchrun a training loader gives this process's share of each batch.

    Raise DataValueError for an empty list and ConfigValueError for a batch size below 1.
    """
    if not data_source:
        raise DataValueError(f"{cfg.DATASET.NAME}: a list of images to load is empty")
    if batch_size < 1:
        raise ConfigValueError(f"a batch size must be at least 1, not {batch_size}")
    wrapper = DatasetWrapper if dataset_wrapper is None else dataset_wrapper
    images = wrapper(cfg, data_source, transform=tfm, is_train=is_train)
    generator = torch.Generator().manual_seed(max(cfg.SEED, 0))
    sampler = build_sampler(
        sampler_type, cfg, data_source, batch_size, n_domain, n_ins, generator=generator
    )
    options = {
        "num_workers": cfg.DATALOADER.NUM_WORKERS,
        "pin_memory": torch.cuda.is_available() and cfg.USE_CUDA,
        "persistent_workers": cfg.DATALOADER.NUM_WORKERS > 0,
    }
    if not is_train:
        return DataLoader(images, batch_size, sampler=sampler, generator=generator, **options)
    whole = len(data_source) >= batch_size
    return EpochLoader(Seeded(images), batch_size, sampler, drop_last=whole, **options)


class DatasetWrapper(Dataset):
    """Items: label, domain, impath, index (position in the list) and the image.

    transform: None, one, or a list. img is the transformed image (a PIL image without transform);
    img2, img3, ... come from further transforms; img0 is the resized image, with RETURN_IMG0. In
    training with K_TRANSFORMS > 1 each is a list of K views.
    """

    def __init__(self, cfg, data_source, transform=None, is_train: bool = False):
        self.cfg = cfg
        self.data_source = data_source
        self.transform = transform
        self.is_train = is_train
        self.k_tfm = cfg.DATALOADER.K_TRANSFORMS if is_train else 1
        self.return_img0 = cfg.DATALOADER.RETURN_IMG0
        if self.k_tfm < 1:
            raise ConfigValueError(f"DATALOADER.K_TRANSFORMS must be at least 1, not {self.k_tfm}")
        if self.k_tfm > 1 and transform is None:
            raise ConfigValueError(
                f"DATALOADER.K_TRANSFORMS is {self.k_tfm}, but there is no transform to apply "
                "(INPUT.NO_TRANSFORM)"
            )
        steps = [
            T.Resize(list(cfg.INPUT.SIZE), INTERPOLATION_MODES[cfg.INPUT.INTERPOLATION]),
            T.ToTensor(),
        ]
        if "normalize" in cfg.INPUT.TRANSFORMS:
            steps.append(T.Normalize(list(cfg.INPUT.PIXEL_MEAN), list(cfg.INPUT.PIXEL_STD)))
        self.to_tensor = T.Compose(steps)

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, idx: int) -> dict:
        item = self.data_source[idx]
        output = {
            "label": item.label,
            "domain": item.domain,
            "impath": item.impath,
            "index": idx,
        }
        image = read_image(item.impath)
        if self.transform is None:
            output["img"] = image
        else:
            several = isinstance(self.transform, list | tuple)
            for i, transform in enumerate(self.transform if several else [self.transform]):
                output[f"img{i + 1}" if i else "img"] = self._transform_image(transform, image)
        if self.return_img0:
            output["img0"] = self.to_tensor(image)
        return output

    def _transform_image(self, tfm, img0):
        """Return K_TRANSFORMS views of an image: a list, or the view if there is one."""
        views = [tfm(img0) for _ in range(self.k_tfm)]
        return views[0] if len(views) == 1 else views


class DataManager:
    """The data set of a configuration, and its loaders.

    custom_tfm_train, custom_tfm_test: replace INPUT.TRANSFORMS; the first may be a list.
    dataset_wrapper: replaces DatasetWrapper, with the same arguments.

    train_loader_x, train_loader_u and val_loader are None if their list is empty.
    """

    def __init__(self, cfg, custom_tfm_train=None, custom_tfm_test=None, dataset_wrapper=None):
        self._wrapper = dataset_wrapper
        dataset = build_dataset(cfg)
        self.tfm_train = self._transform(cfg, custom_tfm_train, is_train=True)
        self.tfm_test = self._transform(cfg, custom_tfm_test, is_train=False)
        self._num_classes = dataset.num_classes
        self._num_source_domains = len(cfg.DATASET.SOURCE_DOMAINS)
        self._lab2cname = dataset.lab2cname
        self.dataset = dataset
        self.train_loader_x = self._train(cfg, dataset.train_x, cfg.DATALOADER.TRAIN_X)
        self.train_loader_u = self._train(cfg, dataset.train_u, self._options_u(cfg, dataset))
        self.val_loader = self._test(cfg, dataset.val)
        self.test_loader = self._test(cfg, dataset.test)
        if cfg.VERBOSE:
            self.show_dataset_summary(cfg)

    @property
    def num_classes(self) -> int:
        return self._num_classes

    @property
    def num_source_domains(self) -> int:
        return self._num_source_domains

    @property
    def lab2cname(self) -> dict[int, str]:
        return self._lab2cname

    @staticmethod
    def _transform(cfg, custom, is_train: bool):
        if custom is None:
            return build_transform(cfg, is_train=is_train)
        print(f"* Using custom transform for {'training' if is_train else 'testing'}")
        return custom

    @staticmethod
    def _options_u(cfg, dataset):
        """Read lazily, because some projects have no DATALOADER.TRAIN_U."""
        if not dataset.train_u or cfg.DATALOADER.TRAIN_U.SAME_AS_X:
            return cfg.DATALOADER.TRAIN_X
        return cfg.DATALOADER.TRAIN_U

    def _train(self, cfg, items, options) -> DataLoader | None:
        if not items:
            return None
        return build_data_loader(
            cfg,
            sampler_type=options.SAMPLER,
            data_source=items,
            batch_size=options.BATCH_SIZE,
            n_domain=options.N_DOMAIN,
            n_ins=options.N_INS,
            tfm=self.tfm_train,
            is_train=True,
            dataset_wrapper=self._wrapper,
        )

    def _test(self, cfg, items) -> DataLoader | None:
        if not items:
            return None
        return build_data_loader(
            cfg,
            sampler_type=cfg.DATALOADER.TEST.SAMPLER,
            data_source=items,
            batch_size=cfg.DATALOADER.TEST.BATCH_SIZE,
            tfm=self.tfm_test,
            is_train=False,
            dataset_wrapper=self._wrapper,
        )

    def show_dataset_summary(self, cfg) -> None:
        """Print the sizes of the lists as a table."""
        rows = [["Dataset", cfg.DATASET.NAME]]
        for key, domains in (
            ("Source", cfg.DATASET.SOURCE_DOMAINS),
            ("Target", cfg.DATASET.TARGET_DOMAINS),
        ):
            if domains:
                rows.append([key, list(domains)])
        rows.append(["# classes", f"{self.num_classes:,}"])
        for name in ("train_x", "train_u", "val", "test"):
            items = getattr(self.dataset, name)
            if items:
                rows.append([f"# {name}", f"{len(items):,}"])
        print(tabulate(rows))
