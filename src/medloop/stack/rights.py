"""IAM policies of the page and the trainings: docs/iam-*.json for AWS, the same for SeaweedFS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

Identity = Literal["frontend", "trainer"]

READ: Final = (
    *("images/*", "corrections/*", "reviews/*", "snapshots/*", "promotions/*"),
    *("reports/*", "acceptance/*", "datasets/*", "predictions/*", "leases/*"),
)
WRITTEN: Final[Mapping[Identity, tuple[str, ...]]] = {
    "frontend": (
        *("images/*.png", "corrections/*", "reviews/*", "predictions/*"),
        *("promotions/*", "leases/promotion.json"),  # for promoting and rolling back alone
    ),
    "trainer": (
        "images/*.erased",  # a snapshot repeats an erasure: it leaves the mark, deletes the image
        *("reviews/*", "snapshots/*", "promotions/*", "reports/*", "acceptance/*", "leases/*"),
        "datasets/*",  # the first model's training publishes its base data set
    ),
}
DELETED: Final[Mapping[Identity, tuple[str, ...]]] = {"frontend": (), "trainer": ("images/*.png",)}


def policy(identity: Identity, *, bucket: str) -> dict[str, Any]:
    """Write the IAM policy of an identity on medloop's bucket."""
    statements = [
        _allow("Look", ["s3:ListBucket", "s3:GetBucketLocation"], f"arn:aws:s3:::{bucket}"),
        _allow("Read", "s3:GetObject", _objects(bucket, READ)),
        _allow("Write", "s3:PutObject", _objects(bucket, WRITTEN[identity])),
    ]
    if DELETED[identity]:
        erased = _objects(bucket, DELETED[identity])
        statements.append(_allow("EraseImages", "s3:DeleteObject", erased))
    return {"Version": "2012-10-17", "Statement": statements}


def mlflow_policy(*, bucket: str, own_bucket: str) -> dict[str, Any]:
    """Write the policy of the local MLflow: all of its own bucket, and the ledger to read."""
    own = [f"arn:aws:s3:::{own_bucket}", f"arn:aws:s3:::{own_bucket}/*"]
    ledger = _objects(bucket, ("promotions/*", "snapshots/unsigned.json"))
    statements = [
        _allow("Artifacts", "s3:*", own),
        _allow("Look", "s3:ListBucket", f"arn:aws:s3:::{bucket}"),
        _allow("Read", "s3:GetObject", ledger),
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _objects(bucket: str, keys: tuple[str, ...]) -> list[str]:
    return [f"arn:aws:s3:::{bucket}/{key}" for key in keys]


def _allow(sid: str, action: str | list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
