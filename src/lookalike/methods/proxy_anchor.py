"""Proxy-Anchor. Kim et al. 2020, arXiv:2003.13911, equation 4."""

from lookalike.methods.proxies import Proxies


class ProxyAnchor(Proxies):
    """Every class centre is an anchor, and weighs a batch's images by how hard they are."""

    preset = "proxy_anchor"
