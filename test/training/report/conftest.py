"""A page taken apart."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest


class Page(HTMLParser):
    """Collects tags, texts and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.addresses = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [v for k, v in attributes if k in ('src', 'href', 'xlink:href') and v]

    def handle_data(self, data):
        self.texts.append(data.strip())


@pytest.fixture
def page_of():
    return Page
