"""Every name that projects built on Dassl are known to import, under each of its paths."""

import importlib
import inspect

import pytest
from dassl.config import get_cfg_default
from dassl.data import DataManager, DatasetWrapper
from dassl.data.datasets import DatasetBase, Datum
from dassl.data.samplers import build_sampler
from dassl.engine import TrainerX, TrainerXU
from dassl.utils import Registry

UTILS = (
    "AverageMeter Logger MetricMeter Registry check_availability check_isfile collect_env_info "
    "count_num_param download_url get_most_similar_str_to_a_from_b init_network_weights "
    "listdir_nohidden load_checkpoint load_pretrained_weights mkdir_if_missing open_all_layers "
    "open_specified_layers read_image read_json resume_from_checkpoint save_checkpoint "
    "set_random_seed setup_logger tolist_if_not write_json"
)
TRANSFORMS = (
    "AVAI_CHOICES INTERPOLATION_MODES Cutout GaussianNoise InstanceNormalization "
    "Random2DTranslation build_transform"
)
TRAINERS = "SimpleNet SimpleTrainer TrainerBase TrainerX TrainerXU"
NAMES = {
    "dassl": "__version__",
    "dassl.config": "clean_cfg get_cfg_default cfg_default",
    "dassl.config.defaults": "_C",
    "dassl.data": "DataManager DatasetWrapper",
    "dassl.data.data_manager": "DataManager DatasetWrapper build_data_loader",
    "dassl.data.datasets": "DATASET_REGISTRY DatasetBase Datum build_dataset",
    "dassl.data.datasets.base_dataset": "DatasetBase Datum",
    "dassl.data.datasets.build": "DATASET_REGISTRY build_dataset",
    "dassl.data.samplers": "RandomClassSampler RandomDomainSampler SeqDomainSampler build_sampler",
    "dassl.data.transforms": "INTERPOLATION_MODES build_transform",
    "dassl.data.transforms.autoaugment": "CIFAR10Policy ImageNetPolicy SVHNPolicy",
    "dassl.data.transforms.randaugment": "RandAugment RandAugment2 RandAugmentFixMatch",
    "dassl.data.transforms.transforms": TRANSFORMS,
    "dassl.engine": f"TRAINER_REGISTRY build_trainer {TRAINERS}",
    "dassl.engine.build": "TRAINER_REGISTRY build_trainer",
    "dassl.engine.trainer": TRAINERS,
    "dassl.evaluation": "EVALUATOR_REGISTRY Classification EvaluatorBase build_evaluator",
    "dassl.evaluation.build": "EVALUATOR_REGISTRY build_evaluator",
    "dassl.evaluation.evaluator": "Classification EvaluatorBase",
    "dassl.metrics": "compute_accuracy compute_distance_matrix cosine_distance",
    "dassl.metrics.accuracy": "compute_accuracy",
    "dassl.metrics.distance": "compute_distance_matrix euclidean_squared_distance",
    "dassl.modeling": "BACKBONE_REGISTRY HEAD_REGISTRY NETWORK_REGISTRY Backbone build_backbone "
    "build_head build_network",
    "dassl.modeling.backbone": "BACKBONE_REGISTRY Backbone build_backbone",
    "dassl.modeling.backbone.backbone": "Backbone",
    "dassl.modeling.backbone.build": "BACKBONE_REGISTRY build_backbone",
    "dassl.modeling.head": "HEAD_REGISTRY build_head mlp",
    "dassl.modeling.head.build": "HEAD_REGISTRY build_head",
    "dassl.modeling.head.mlp": "MLP mlp",
    "dassl.modeling.network": "NETWORK_REGISTRY build_network",
    "dassl.modeling.network.build": "NETWORK_REGISTRY build_network",
    "dassl.modeling.ops.utils": "create_onehot ema_model_update linear_rampup reverse_index "
    "sharpen_prob shuffle_index sigmoid_rampup",
    "dassl.optim": "build_lr_scheduler build_optimizer",
    "dassl.optim.lr_scheduler": "AVAI_SCHEDS ConstantWarmupScheduler LinearWarmupScheduler "
    "build_lr_scheduler",
    "dassl.optim.optimizer": "AVAI_OPTIMS build_optimizer",
    "dassl.optim.radam": "RAdam",
    "dassl.utils": UTILS,
    "dassl.utils.logger": "Logger setup_logger",
    "dassl.utils.meters": "AverageMeter MetricMeter",
    "dassl.utils.registry": "Registry",
    "dassl.utils.tools": "check_availability check_isfile read_json set_random_seed write_json",
    "dassl.utils.torchtools": "count_num_param load_checkpoint load_pretrained_weights "
    "resume_from_checkpoint save_checkpoint",
}
ATTRIBUTES = {
    Datum: "impath label domain classname",
    DatasetBase: "dataset_dir domains train_x train_u val test lab2cname classnames num_classes "
    "get_num_classes get_lab2cname check_input_domains download_data generate_fewshot_dataset "
    "split_dataset_by_label split_dataset_by_domain",
    DataManager: "num_classes num_source_domains lab2cname show_dataset_summary",
    Registry: "register get registered_names",
    TrainerX: "register_model get_model_names set_model_mode update_lr model_zero_grad "
    "model_backward model_update model_backward_and_update prograd_backward_and_update "
    "detect_anomaly get_current_lr write_scalar init_writer close_writer save_model load_model "
    "resume_model_if_exist check_cfg build_data_loader build_model model_inference train test "
    "before_train after_train before_epoch after_epoch run_epoch parse_batch_train "
    "parse_batch_test forward_backward",
    TrainerXU: "run_epoch parse_batch_train",
}
ARGUMENTS = {
    DatasetWrapper: "cfg data_source transform is_train",
    DataManager: "cfg custom_tfm_train custom_tfm_test dataset_wrapper",
    build_sampler: "sampler_type cfg data_source batch_size n_domain n_ins",
    DatasetBase: "train_x train_u val test",
}


@pytest.mark.parametrize("module", NAMES)
def test_names(module):
    found = importlib.import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


def test_names_are_the_same_objects():
    for short, long, name in (
        ("dassl.engine", "dassl.engine.build", "TRAINER_REGISTRY"),
        ("dassl.data.datasets", "dassl.data.datasets.build", "DATASET_REGISTRY"),
        ("dassl.modeling", "dassl.modeling.backbone.build", "BACKBONE_REGISTRY"),
        ("dassl.engine", "dassl.engine.trainer", "SimpleNet"),
        ("dassl.data.transforms", "dassl.data.transforms.transforms", "build_transform"),
    ):
        modules = importlib.import_module(short), importlib.import_module(long)
        assert getattr(modules[0], name) is getattr(modules[1], name)


@pytest.mark.parametrize("kind", ATTRIBUTES, ids=lambda kind: kind.__name__)
def test_attributes(kind):
    assert [name for name in ATTRIBUTES[kind].split() if not hasattr(kind, name)] == []


@pytest.mark.parametrize("function", ARGUMENTS, ids=lambda function: function.__name__)
def test_arguments_by_position(function):
    expected = ARGUMENTS[function].split()
    assert list(inspect.signature(function).parameters)[: len(expected)] == expected


def test_keys_that_configurations_set():
    cfg = get_cfg_default()
    cfg.merge_from_list([
        "DATALOADER.TRAIN_X.BATCH_SIZE", "32", "DATALOADER.TEST.BATCH_SIZE", "100",
        "DATALOADER.NUM_WORKERS", "8", "DATALOADER.K_TRANSFORMS", "2", "INPUT.SIZE", "(224, 224)",
        "INPUT.INTERPOLATION", "bicubic", "INPUT.PIXEL_MEAN", "[0.5, 0.5, 0.5]",
        "INPUT.TRANSFORMS", '["randaugment", "normalize"]', "MODEL.BACKBONE.NAME", "ViT-B/16",
        "OPTIM.NAME", "sgd", "OPTIM.LR", "0.002", "OPTIM.MAX_EPOCH", "50", "OPTIM.LR_SCHEDULER",
        "cosine", "OPTIM.WARMUP_EPOCH", "1", "OPTIM.WARMUP_TYPE", "constant",
        "OPTIM.WARMUP_CONS_LR", "1e-5", "TRAIN.PRINT_FREQ", "5", "TEST.FINAL_MODEL", "best_val",
        "TEST.PER_CLASS_RESULT", "True", "TEST.NO_TEST", "True", "DATASET.NUM_SHOTS", "16",
    ])  # fmt: skip
    assert cfg.INPUT.SIZE == (224, 224) and cfg.OPTIM.WARMUP_CONS_LR == 1e-5


def test_defaults_are_dassls():
    """Configurations of other projects leave them out and count on them."""
    cfg = get_cfg_default()
    expected = {
        "INPUT": {"SIZE": (224, 224), "INTERPOLATION": "bilinear", "TRANSFORMS": (),
                  "PIXEL_MEAN": [0.485, 0.456, 0.406], "PIXEL_STD": [0.229, 0.224, 0.225],
                  "CROP_PADDING": 4, "RRCROP_SCALE": (0.08, 1.0), "CUTOUT_N": 1, "CUTOUT_LEN": 16,
                  "GN_MEAN": 0.0, "GN_STD": 0.15, "RANDAUGMENT_N": 2, "RANDAUGMENT_M": 10,
                  "COLORJITTER_B": 0.4, "COLORJITTER_C": 0.4, "COLORJITTER_S": 0.4,
                  "COLORJITTER_H": 0.1, "RGS_P": 0.2, "GB_P": 0.5, "GB_K": 21},
        "OPTIM": {"NAME": "adam", "LR": 3e-4, "WEIGHT_DECAY": 5e-4, "MOMENTUM": 0.9,
                  "SGD_DAMPNING": 0, "SGD_NESTEROV": False, "RMSPROP_ALPHA": 0.99,
                  "ADAM_BETA1": 0.9, "ADAM_BETA2": 0.999, "STAGED_LR": False, "NEW_LAYERS": (),
                  "BASE_LR_MULT": 0.1, "LR_SCHEDULER": "single_step", "STEPSIZE": (-1,),
                  "GAMMA": 0.1, "MAX_EPOCH": 10, "WARMUP_EPOCH": -1, "WARMUP_TYPE": "linear",
                  "WARMUP_CONS_LR": 1e-5, "WARMUP_MIN_LR": 1e-5, "WARMUP_RECOUNT": True},
        "TRAIN": {"CHECKPOINT_FREQ": 0, "PRINT_FREQ": 10, "COUNT_ITER": "train_x"},
        "TEST": {"EVALUATOR": "Classification", "PER_CLASS_RESULT": False, "COMPUTE_CMAT": False,
                 "NO_TEST": False, "SPLIT": "test", "FINAL_MODEL": "last_step"},
    }
    for node, values in expected.items():
        assert {key: cfg[node][key] for key in values} == values
    loaders = cfg.DATALOADER
    own = {"SAMPLER": "RandomSampler", "BATCH_SIZE": 32, "N_DOMAIN": 0, "N_INS": 16}
    assert dict(loaders.TRAIN_X) == own and dict(loaders.TRAIN_U) == {"SAME_AS_X": True, **own}
    assert dict(loaders.TEST) == {"SAMPLER": "SequentialSampler", "BATCH_SIZE": 32}
    assert (loaders.K_TRANSFORMS, loaders.RETURN_IMG0) == (1, False)
    assert (cfg.SEED, cfg.USE_CUDA, cfg.DATASET.NUM_SHOTS) == (-1, True, -1)
