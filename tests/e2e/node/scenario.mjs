// The official Node SDK against a running server; ends with an error if anything is not as it
// should be. Arguments: a photo (JPEG), a larger file, the URL of a photo.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { v2 as cloudinary } from "cloudinary";

const [photo, large, remote] = process.argv.slice(2);
const { api, uploader } = cloudinary;
const bytes = await readFile(photo);

// Uploads: file, bytes, base64, URL, chunks.
const file = await uploader.upload(photo, {
  public_id: "people/ann lee", tags: ["red", "faceLabel:Zoë Müller"], asset_folder: "training",
  context: { caption: "a=b|c", alt: "Zoë" },
});
assert.equal(file.public_id, "people/ann lee");
assert.equal(file.bytes, bytes.length);
assert.deepEqual(file.tags, ["red", "faceLabel:Zoë Müller"]);
assert.equal(file.asset_folder, "training");
assert.equal(file.signature.length, 40);

const stream = await new Promise((resolve, reject) => {
  uploader.upload_stream({ public_id: "stream" }, (e, r) => (e ? reject(e) : resolve(r))).end(bytes);
});
const encoded = await uploader.upload(`data:image/jpeg;base64,${bytes.toString("base64")}`, {});
const fetched = await uploader.upload(remote, { use_filename: true, unique_filename: false });
for (const same of [stream, encoded, fetched]) assert.equal(same.etag, file.etag);
assert.match(encoded.public_id, /^[a-z0-9]{20}$/);

const chunked = await new Promise((resolve, reject) => {
  uploader.upload_large(large, { chunk_size: 6_000_000, resource_type: "raw" },
    (e, r) => (e ? reject(e) : resolve(r)));
});
assert.equal(chunked.bytes, (await readFile(large)).length);
assert.equal(chunked.resource_type, "raw");

// Explicit, tags, context, rename.
const explicit = await uploader.explicit("people/ann lee", { type: "upload", tags: ["a", "b"] });
assert.deepEqual(explicit.tags, ["a", "b"]);
assert.deepEqual((await uploader.add_tag("c", ["people/ann lee", "unknown"])).public_ids,
  ["people/ann lee"]);
await uploader.remove_tag("a", ["people/ann lee"]);
await uploader.add_context({ place: "sea" }, ["people/ann lee"]);
await uploader.rename("stream", "people/stream");

// Resources.
const asset = await api.resource("people/ann lee", { faces: true });
assert.deepEqual(asset.tags, ["b", "c"]);
assert.equal(asset.context.custom.place, "sea");
assert.equal((await api.resource("people/ann lee")).asset_id, file.asset_id);
const listed = await api.resources({ type: "upload", prefix: "people/", tags: true });
assert.deepEqual(listed.resources.map((r) => r.public_id).sort(), ["people/ann lee", "people/stream"]);
assert.equal((await api.resources_by_tag("b")).resources.length, 1);
assert.equal((await api.resources_by_asset_folder("training")).resources[0].public_id, "people/ann lee");
await assert.rejects(api.resource("nobody"), (e) => e.error.http_code === 404);

// Structured metadata.
await api.add_metadata_field({
  external_id: "people", label: "People", type: "set",
  datasource: { values: [{ external_id: "zoe", value: "Zoë" }] },
});
await uploader.update_metadata({ people: ["zoe"] }, ["people/ann lee"]);
assert.deepEqual((await api.resource("people/ann lee")).metadata, { people: ["zoe"] });
await assert.rejects(uploader.update_metadata({ nobody: "x" }, ["people/ann lee"]),
  (e) => /nobody/.test(e.message));

// Search.
const found = await cloudinary.search.expression("tags=b AND asset_folder=training")
  .sort_by("public_id", "desc").with_field("tags").with_field("context").max_results(10).execute();
assert.equal(found.total_count, 1);
assert.deepEqual(found.resources[0].tags.sort(), ["b", "c"]);

// Delivery.
const deliver = async (id, options) => {
  const url = cloudinary.url(id, { secure: false, ...options });
  const answer = await fetch(url);
  return [answer.status, answer.headers.get("content-type"), Buffer.from(await answer.arrayBuffer())];
};
let [status, type, body] = await deliver("people/ann lee", { format: "jpg", version: file.version });
assert.deepEqual([status, type], [200, "image/jpeg"]);
assert.ok(body.equals(bytes));
[status, type, body] = await deliver("people/ann lee", {
  width: 50, height: 50, crop: "thumb", gravity: "face", format: "png", sign_url: true,
});
assert.deepEqual([status, type], [200, "image/png"]);
assert.deepEqual([body.readUInt32BE(16), body.readUInt32BE(20)], [50, 50]);
assert.equal((await deliver("nobody", {}))[0], 404);
const hidden = await uploader.upload(photo, { type: "private", public_id: "hidden" });
assert.equal((await deliver("hidden", { type: "private", format: "jpg" }))[0], 401);
[status, , body] = await deliver("hidden",
  { type: "private", format: "jpg", sign_url: true, version: hidden.version });
assert.equal(status, 200);
assert.ok(body.equals(bytes));

// What is signed with another secret is not believed.
await assert.rejects(uploader.upload(photo, { api_secret: "wrong" }),
  (e) => e.http_code === 401 && /Invalid Signature/.test(e.message));
await assert.rejects(api.ping({ api_secret: "wrong" }), (e) => e.error.http_code === 401);

// Deletion.
assert.equal((await uploader.destroy("people/stream")).result, "ok");
assert.equal((await uploader.destroy("people/stream")).result, "not found");
assert.deepEqual((await api.delete_resources(["people/ann lee", "nobody"])).deleted,
  { "people/ann lee": "deleted", nobody: "not_found" });
assert.equal((await deliver("people/ann lee", { format: "jpg" }))[0], 404);
console.log("all as it should be");
