"""Pages of pictures."""

import numpy as np

from rdet.report.picture_page import picture_page


def test_page_escapes_what_it_is_given():
    page = picture_page("<b>", ["a & b"], ['"cell"<', "細胞"], [('"x"<y>', np.zeros((4, 6, 3), np.uint8))], ["<bad>"])
    assert "<b>" not in page
    assert "&lt;bad&gt;" in page
    assert "細胞" in page
    assert 'width="6" height="4" alt="&#34;x&#34;&lt;y&gt;"' in page
    assert 'charset="utf-8"' in page
    assert "<script" not in page
    assert 'class="wide"' in page  # the frame of all reports
