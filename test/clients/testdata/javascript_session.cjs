// A session as a program has it: everything is checked, and the bucket is gone at the end.
"use strict";
const assert = require("node:assert");
const { randomBytes } = require("node:crypto");
const { Readable } = require("node:stream");
const s3 = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");

const Bucket = "javascript-client";
const Key = "a b/é+ü";
const client = new s3.S3Client({ forcePathStyle: true });
const send = (name, input) => client.send(new s3[name + "Command"]({ Bucket, ...input }));
const read = async (input) => Buffer.from(await (await send("GetObject", input)).Body.transformToByteArray());

async function refuses(code, promise) {
  const error = await promise.then(() => null, (e) => e);
  assert(error, "not refused");
  assert.strictEqual(error.name, code);
}

async function main() {
  await send("CreateBucket");
  const put = await send("PutObject", { Key, Body: "small", Metadata: { colour: "blue" }, ChecksumAlgorithm: "SHA256" });
  assert(put.ChecksumSHA256);
  const head = await send("HeadObject", { Key });
  assert.deepStrictEqual([head.Metadata, head.ContentLength], [{ colour: "blue" }, 5]);
  assert.strictEqual((await read({ Key })).toString(), "small");

  // A stream of unknown length goes up in parts.
  const content = randomBytes(20 << 20);
  const up = new Upload({ client, params: { Bucket, Key: "large", Body: Readable.from([content]) }, partSize: 6 << 20, queueSize: 3 });
  assert.match((await up.done()).ETag, /-4"$/);
  assert(content.equals(await read({ Key: "large" })));
  assert(content.subarray(7 << 20, 8 << 20).equals(await read({ Key: "large", Range: `bytes=${7 << 20}-${(8 << 20) - 1}` })));
  assert(content.subarray(6 << 20, 12 << 20).equals(await read({ Key: "large", PartNumber: 2 })));

  await send("CopyObject", { Key: "copy", CopySource: encodeURI(`${Bucket}/large`) });
  assert(content.equals(await read({ Key: "copy" })));
  const keys = [];
  for await (const page of s3.paginateListObjectsV2({ client, pageSize: 2 }, { Bucket })) {
    keys.push(...page.Contents.map((o) => o.Key));
  }
  assert.deepStrictEqual(keys, [Key, "copy", "large"]);
  await refuses("PreconditionFailed", send("PutObject", { Key, Body: "", IfNoneMatch: "*" }));
  await refuses("NoSuchKey", read({ Key: "nothing" }));

  const wrong = new s3.S3Client({
    forcePathStyle: true,
    credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY + "x" },
  });
  await refuses("SignatureDoesNotMatch", wrong.send(new s3.GetObjectCommand({ Bucket, Key })));
  await refuses("SignatureDoesNotMatch", new Upload({ client: wrong, params: { Bucket, Key, Body: content } }).done());

  const gone = await send("DeleteObjects", { Delete: { Objects: keys.map((k) => ({ Key: k })) } });
  assert.deepStrictEqual([gone.Deleted.length, gone.Errors], [3, undefined]);
  await send("DeleteBucket");
  console.log("done");
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
