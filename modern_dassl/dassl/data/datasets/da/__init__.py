"""Data sets for domain adaptation."""

from dassl.data.datasets.da.cifarstl import CIFARSTL
from dassl.data.datasets.da.digit5 import Digit5
from dassl.data.datasets.da.domainnet import DomainNet
from dassl.data.datasets.da.mini_domainnet import miniDomainNet
from dassl.data.datasets.da.office31 import Office31
from dassl.data.datasets.da.office_home import OfficeHome
from dassl.data.datasets.da.visda17 import VisDA17
