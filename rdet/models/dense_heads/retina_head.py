"""The two subnets of RetinaNet."""

from rdet.models.dense_heads.dense_head import DenseHead
from rdet.registry import MODELS


@MODELS.register_module()
class RetinaHead(DenseHead):
    """Classification and box regression subnets (Focal Loss paper, section 4 and Figure 3).

    The two share nothing with each other and everything between levels. For shapes and arguments
    see :class:`DenseHead`; the defaults are the paper's. ``share='convs'`` with a norm gives the
    head with separate batch normalisation of NAS-FPN (Ghiasi et al., CVPR 2019).
    """
