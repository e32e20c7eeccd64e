"""Tools, checkpoints, logs, meters, registries and errors."""

from dassl.utils.errors import (
    CheckpointReadError,
    ConfigTypeError,
    ConfigValueError,
    DasslError,
    DataValueError,
    LossError,
    MissingFileError,
    RegistryKeyError,
)
from dassl.utils.logger import Logger, setup_logger
from dassl.utils.meters import AverageMeter, MetricMeter
from dassl.utils.registry import Registry
from dassl.utils.tools import (
    check_availability,
    check_isfile,
    collect_env_info,
    download_url,
    get_most_similar_str_to_a_from_b,
    listdir_nohidden,
    mkdir_if_missing,
    read_image,
    read_json,
    set_random_seed,
    tolist_if_not,
    write_json,
)
from dassl.utils.torchtools import (
    count_num_param,
    init_network_weights,
    load_checkpoint,
    load_pretrained_weights,
    open_all_layers,
    open_specified_layers,
    resume_from_checkpoint,
    save_checkpoint,
)

from modern_dassl.lent_names import lend_below
from modern_dassl.random_states import get_random_states, set_random_states

lend_below(__name__)
