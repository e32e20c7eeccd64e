"""The default of every configuration key, with the values of Dassl 0.6.3."""

from yacs.config import CfgNode


def _loader() -> dict:
    return {"SAMPLER": "RandomSampler", "BATCH_SIZE": 32, "N_DOMAIN": 0, "N_INS": 16}


_C = CfgNode({
    "VERSION": 1,
    "OUTPUT_DIR": "./output",
    "RESUME": "",  # folder of the run to continue
    "SEED": -1,  # negative: not fixed
    "USE_CUDA": True,
    "VERBOSE": True,
    "INPUT": {
        "SIZE": (224, 224),  # height, width
        "INTERPOLATION": "bilinear",  # bilinear, bicubic, nearest
        "TRANSFORMS": (),
        "NO_TRANSFORM": False,
        "PIXEL_MEAN": [0.485, 0.456, 0.406],
        "PIXEL_STD": [0.229, 0.224, 0.225],
        "CROP_PADDING": 4,
        "RRCROP_SCALE": (0.08, 1.0),
        "CUTOUT_N": 1,
        "CUTOUT_LEN": 16,
        "GN_MEAN": 0.0,
        "GN_STD": 0.15,
        "RANDAUGMENT_N": 2,
        "RANDAUGMENT_M": 10,
        "COLORJITTER_B": 0.4,
        "COLORJITTER_C": 0.4,
        "COLORJITTER_S": 0.4,
        "COLORJITTER_H": 0.1,
        "RGS_P": 0.2,
        "GB_P": 0.5,
        "GB_K": 21,
    },
    "DATASET": {
        "ROOT": "",
        "NAME": "",
        "SOURCE_DOMAINS": (),
        "TARGET_DOMAINS": (),
        "NUM_LABELED": -1,
        "NUM_SHOTS": -1,
        "VAL_PERCENT": 0.1,
        "STL10_FOLD": -1,
        "CIFAR_C_TYPE": "",
        "CIFAR_C_LEVEL": 1,
        "ALL_AS_UNLABELED": False,
    },
    "DATALOADER": {
        "NUM_WORKERS": 4,
        "K_TRANSFORMS": 1,  # views of each training image
        "RETURN_IMG0": False,  # the untransformed image as well
        "TRAIN_X": _loader(),
        "TRAIN_U": {"SAME_AS_X": True, **_loader()},
        "TEST": {"SAMPLER": "SequentialSampler", "BATCH_SIZE": 32},
    },
    "MODEL": {
        "INIT_WEIGHTS": "",
        "BACKBONE": {"NAME": "", "PRETRAINED": True},
        "HEAD": {
            "NAME": "",
            "HIDDEN_LAYERS": (),
            "ACTIVATION": "relu",
            "BN": True,
            "DROPOUT": 0.0,
        },
    },
    "OPTIM": {
        "NAME": "adam",  # adam, amsgrad, sgd, rmsprop, radam, adamw
        "LR": 0.0003,
        "WEIGHT_DECAY": 5e-4,
        "MOMENTUM": 0.9,
        "SGD_DAMPNING": 0,
        "SGD_NESTEROV": False,
        "RMSPROP_ALPHA": 0.99,
        "ADAM_BETA1": 0.9,
        "ADAM_BETA2": 0.999,
        "STAGED_LR": False,  # BASE_LR_MULT * LR for all layers except NEW_LAYERS
        "NEW_LAYERS": (),
        "BASE_LR_MULT": 0.1,
        "LR_SCHEDULER": "single_step",  # single_step, multi_step, cosine
        "STEPSIZE": (-1,),
        "GAMMA": 0.1,
        "MAX_EPOCH": 10,
        "WARMUP_EPOCH": -1,
        "WARMUP_TYPE": "linear",  # linear, constant
        "WARMUP_CONS_LR": 1e-5,
        "WARMUP_MIN_LR": 1e-5,
        "WARMUP_RECOUNT": True,  # the scheduler after the warm-up starts at its epoch 0
    },
    "TRAIN": {
        "CHECKPOINT_FREQ": 0,  # epochs between checkpoints; 0: only the last epoch
        "PRINT_FREQ": 10,  # batches between log lines
        "COUNT_ITER": "train_x",  # train_x, train_u, smaller_one
    },
    "TEST": {
        "EVALUATOR": "Classification",
        "PER_CLASS_RESULT": False,
        "COMPUTE_CMAT": False,
        "NO_TEST": False,
        "SPLIT": "test",  # val, test
        "FINAL_MODEL": "last_step",  # last_step, best_val
    },
    "TRAINER": {
        "NAME": "",
        # domain adaptation
        "MCD": {"N_STEP_F": 4},  # steps of the features per step of the classifiers
        "MME": {"LMDA": 0.1},  # weight of the entropy
        "CDAC": {
            "CLASS_LR_MULTI": 10,  # learning rate of the classifier, in multiples of LR
            "RAMPUP_COEF": 30,  # largest weight of the consistency
            "RAMPUP_ITRS": 1000,  # steps until then
            "TOPK_MATCH": 5,  # features whose ranks must agree in two similar images
            "P_THRESH": 0.95,
            "STRONG_TRANSFORMS": (),
        },
        "SE": {"EMA_ALPHA": 0.999, "CONF_THRE": 0.95, "RAMPUP": 300},
        "M3SDA": {"LMDA": 0.5, "N_STEP_F": 4},  # weight of the moment distance; as in MCD
        "DAEL": {"WEIGHT_U": 0.5, "CONF_THRE": 0.95, "STRONG_TRANSFORMS": ()},
        # domain generalisation
        "CROSSGRAD": {"EPS_F": 1.0, "EPS_D": 1.0, "ALPHA_F": 0.5, "ALPHA_D": 0.5},
        "DDAIG": {
            "G_ARCH": "",  # a registered network
            "LMDA": 0.3,  # size of the perturbation
            "CLAMP": False,
            "CLAMP_MIN": -1.0,
            "CLAMP_MAX": 1.0,
            "WARMUP": 0,  # epochs without perturbed images for F
            "ALPHA": 0.5,  # weight of the perturbed images
        },
        "DAELDG": {"WEIGHT_U": 0.5, "CONF_THRE": 0.95, "STRONG_TRANSFORMS": ()},
        "DOMAINMIX": {"TYPE": "crossdomain", "ALPHA": 1.0, "BETA": 1.0},
        # semi-supervised learning
        "ENTMIN": {"LMDA": 1e-3},  # weight of the entropy
        "MEANTEACHER": {"WEIGHT_U": 1.0, "EMA_ALPHA": 0.999, "RAMPUP": 5},  # epochs
        "MIXMATCH": {"WEIGHT_U": 100.0, "TEMP": 2.0, "MIXUP_BETA": 0.75, "RAMPUP": 20000},  # steps
        "FIXMATCH": {"WEIGHT_U": 1.0, "CONF_THRE": 0.95, "STRONG_TRANSFORMS": ()},
    },
})
