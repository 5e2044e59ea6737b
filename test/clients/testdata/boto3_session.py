"""A session as a program has it: everything is checked, and the bucket is gone at the end."""
import hashlib
import os
import sys
import tempfile

import boto3
from botocore.exceptions import ClientError

# Older ones do not know the variable and would ask AWS itself.
endpoint = os.environ["AWS_ENDPOINT_URL"]
s3 = boto3.client("s3", endpoint_url=endpoint)
bucket = "boto3-client"
s3.create_bucket(Bucket=bucket)
s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

first = s3.put_object(Bucket=bucket, Key="a b/é", Body=b"first", Metadata={"colour": "blue"}, Tagging="a=b")
s3.put_object(Bucket=bucket, Key="a b/é", Body=b"second")
assert s3.get_object(Bucket=bucket, Key="a b/é")["Body"].read() == b"second"
old = s3.get_object(Bucket=bucket, Key="a b/é", VersionId=first["VersionId"])
assert old["Body"].read() == b"first" and old["Metadata"] == {"colour": "blue"} and old["TagCount"] == 1

# large enough for parts
content = os.urandom(1 << 20) * 20
with tempfile.TemporaryDirectory() as d:
    up, down = os.path.join(d, "up"), os.path.join(d, "down")
    with open(up, "wb") as f:
        f.write(content)
    s3.upload_file(up, bucket, "large", ExtraArgs={"ChecksumAlgorithm": "SHA256"})
    s3.download_file(bucket, "large", down)
    with open(down, "rb") as f:
        assert hashlib.sha256(f.read()).digest() == hashlib.sha256(content).digest()
assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-3"')
parts = s3.get_object_attributes(Bucket=bucket, Key="large", ObjectAttributes=["ObjectParts", "Checksum"])
assert parts["ObjectParts"]["TotalPartsCount"] == 3

s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copy")
s3.copy_object(Bucket=bucket, Key="small copy", CopySource={"Bucket": bucket, "Key": "a b/é", "VersionId": first["VersionId"]})
assert s3.get_object(Bucket=bucket, Key="small copy")["Body"].read() == b"first"
keys = [o["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}) for o in page["Contents"]]
assert keys == ["a b/é", "copy", "large", "small copy"], keys

if "IfNoneMatch" in s3.meta.service_model.operation_model("PutObject").input_shape.members:  # older ones can't ask
    try:
        s3.put_object(Bucket=bucket, Key="large", Body=b"", IfNoneMatch="*")
        sys.exit("overwrote what must not exist")
    except ClientError as e:
        assert e.response["Error"]["Code"] == "PreconditionFailed", e

wrong = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"] + "x")
for call in lambda: wrong.get_object(Bucket=bucket, Key="large"), lambda: wrong.put_object(Bucket=bucket, Key="large", Body=b""):
    try:
        call()
        sys.exit("a wrong secret is as good as the right one")
    except ClientError as e:
        assert e.response["Error"]["Code"] == "SignatureDoesNotMatch", e

for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
    doomed = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in page.get("Versions", []) + page.get("DeleteMarkers", [])]
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": doomed})
    assert "Errors" not in gone, gone
s3.delete_bucket(Bucket=bucket)
print("done")
