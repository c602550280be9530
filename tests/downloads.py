"""What the tests of downloads share beside fixtures: the bytes that are served, and the line that refuses them."""

import hashlib
import random
import re
import subprocess

import pytest

from download import download
from topmass.files import BadInput
from topmass.io.download import RetryPolicy

BODY = b"PAR1" + random.Random(1).randbytes(999_992) + b"PAR1"
SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
OTHER = b"PAR1" + random.Random(2).randbytes(899_992) + b"PAR1"
BRISK = RetryPolicy(connect=2, read=0.5, tries=3, first_wait=0.01, longest_wait=0.02, longest_requested=1)


def around(file):
    return sorted(path.name for path in file.parent.iterdir())


def refused(url, file, *arguments):
    """The one line that ends a download that cannot be."""
    with pytest.raises(BadInput) as error:
        download(url, file, *arguments)
    message = str(error.value)
    assert "\n" not in message
    return message


def follow(message):
    """Do what a message says is to be removed, word for word."""
    subprocess.run(re.search("`(rm [^`]*)`", message)[1], shell=True, check=True)
