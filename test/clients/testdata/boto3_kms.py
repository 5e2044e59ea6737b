"""A session under a key of KMS: everything is checked, and the bucket is gone at the end."""
import base64
import json
import os
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

# Older ones do not know the variable and would ask AWS itself.
endpoint = os.environ["AWS_ENDPOINT_URL"]
s3, kms = (boto3.client(name, endpoint_url=endpoint) for name in ("s3", "kms"))
bucket = "boto3-kms"
key = kms.create_key(Description="of boto3")["KeyMetadata"]["Arn"]
s3.create_bucket(Bucket=bucket)
context = base64.b64encode(json.dumps({"team": "red"}).encode()).decode()
under = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
put = s3.put_object(Bucket=bucket, Key="small", Body=b"small", SSEKMSEncryptionContext=context, **under)
assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key), put
got = s3.get_object(Bucket=bucket, Key="small")
assert got["Body"].read() == b"small" and got["SSEKMSKeyId"] == key, got

content = os.urandom(1 << 20) * 20
with open("up", "wb") as f:
    f.write(content)
s3.upload_file("up", bucket, "large", ExtraArgs=under, Config=TransferConfig(multipart_threshold=8 << 20))
head = s3.head_object(Bucket=bucket, Key="large")
assert head["ETag"].endswith('-3"') and head["SSEKMSKeyId"] == key, head
s3.download_file(bucket, "large", "down")
with open("down", "rb") as f:
    assert f.read() == content

s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copy", ExtraArgs=under)
assert s3.head_object(Bucket=bucket, Key="copy")["SSEKMSKeyId"] == key
s3.copy_object(Bucket=bucket, Key="plain", CopySource={"Bucket": bucket, "Key": "small"})
assert s3.head_object(Bucket=bucket, Key="plain")["ServerSideEncryption"] == "AES256"

kms.disable_key(KeyId=key)
for call in lambda: s3.get_object(Bucket=bucket, Key="small"), lambda: s3.put_object(Bucket=bucket, Key="new", Body=b"", **under):
    try:
        call()
        sys.exit("a disabled key is used")
    except ClientError as e:
        assert e.response["Error"]["Code"] == "KMS.DisabledException", e
kms.enable_key(KeyId=key)

for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": o["Key"]} for o in page["Contents"]]})
    assert "Errors" not in gone, gone
s3.delete_bucket(Bucket=bucket)
print("done")
