"""What the fork server does once, so that no process that is forked from it has to.

It is the last module that it loads: see tests/forked.py.
"""

from __future__ import annotations

import gc

from PIL import Image

from facelabel.adapters.aws.clients import new_session
from facelabel.cli import commands

Image.init()
list(commands())  # which loads them
for service in ("dynamodb", "rekognition", "secretsmanager", "sqs", "ssm"):
    new_session().create_client(
        service, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
gc.collect()
gc.freeze()  # nobody looks for garbage here, nor writes to these pages
