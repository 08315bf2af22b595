"""The public names for type checkers, which do not follow the lazy imports of ``__init__.py``."""

from . import contrastive as contrastive
from . import correlation as correlation
from . import datasets as datasets
from . import information as information
from . import metrics as metrics
from . import plotting as plotting
from . import sequence as sequence
from . import temporal as temporal
from . import transport as transport
from . import views as views
from ._show_versions import show_versions as show_versions
from .contrastive import ContrastiveAligner as ContrastiveAligner
from .contrastive import CrossModalRetriever as CrossModalRetriever
from .contrastive import FactorizedContrastiveAligner as FactorizedContrastiveAligner
from .contrastive import OrderAligner as OrderAligner
from .contrastive import RelativeAligner as RelativeAligner
from .contrastive import ZeroShotClassifier as ZeroShotClassifier
from .correlation import CCA as CCA
from .correlation import DeepCCA as DeepCCA
from .correlation import KernelCCA as KernelCCA
from .correlation import ProcrustesAligner as ProcrustesAligner
from .information import MutualInformation as MutualInformation
from .sequence import CTCAligner as CTCAligner
from .sequence import HiddenUnitDiscretizer as HiddenUnitDiscretizer
from .sequence import RegionSegmenter as RegionSegmenter
from .sequence import VectorQuantizer as VectorQuantizer
from .temporal import ChangepointSegmenter as ChangepointSegmenter
from .temporal import CTWAligner as CTWAligner
from .temporal import DTWAligner as DTWAligner
from .transport import AssignmentAligner as AssignmentAligner
from .transport import LatentPairingAligner as LatentPairingAligner
from .transport import OTAligner as OTAligner
from .views import ByView as ByView
from .views import Domains as Domains
from .views import Fuse as Fuse
from .views import PerView as PerView
from .views import Precomputed as Precomputed
from .views import SplitColumns as SplitColumns
from .views import Views as Views
from .views import select_view as select_view

__version__: str
