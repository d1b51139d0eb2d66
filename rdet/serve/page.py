"""The page of the service: one file, which loads nothing from elsewhere."""

import base64
import hashlib
import re
from functools import cache

import jinja2

from rdet.report.rendering import templates


@cache
def page() -> tuple[str, str]:
    """Return the page, and the policy (CSP) by which a browser runs its script and no other."""
    environment = templates().overlay(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader("rdet.serve"), jinja2.PackageLoader("rdet.report")])
    )
    html = environment.get_template("serve.html").render()
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy
