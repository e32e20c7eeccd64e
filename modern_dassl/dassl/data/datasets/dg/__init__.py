"""Data sets for domain generalisation."""

from dassl.data.datasets.dg.cifar_c import CIFAR10C, CIFAR100C
from dassl.data.datasets.dg.digit_single import DigitSingle
from dassl.data.datasets.dg.digits_dg import DigitsDG
from dassl.data.datasets.dg.office_home_dg import OfficeHomeDG
from dassl.data.datasets.dg.pacs import PACS
from dassl.data.datasets.dg.vlcs import VLCS
