// AWS's JavaScript SDK v3 against a running server, which the environment alone leads it to; ends
// with an error if anything is not as it should be. Arguments: the folder of portraits, and ids of
// three people who are in both gallery/ and probe/.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import * as sdk from "@aws-sdk/client-rekognition";

const [folder, ...people] = process.argv.slice(2);
const client = new sdk.RekognitionClient({ maxAttempts: 8 });
const call = (name, input = {}) => client.send(new sdk[`${name}Command`](input));
const photo = async (set, id) => ({ Bytes: await readFile(`${folder}/${set}/${id}.jpg`) });
const CollectionId = "js";

const made = await call("CreateCollection", { CollectionId, Tags: { made: "by js" } });
assert.equal(made.StatusCode, 200);
const { CollectionARN, CreationTimestamp, FaceModelVersion } =
  await call("DescribeCollection", { CollectionId });
assert.ok(CollectionARN.endsWith(made.CollectionArn));
assert.ok(Math.abs(CreationTimestamp - new Date()) < 600_000);
assert.equal(FaceModelVersion, made.FaceModelVersion);
assert.deepEqual((await call("ListTagsForResource", { ResourceArn: CollectionARN })).Tags,
  { made: "by js" });
await call("TagResource", { ResourceArn: CollectionARN, Tags: { more: "" } });
await call("UntagResource", { ResourceArn: CollectionARN, TagKeys: ["made"] });
assert.ok((await call("ListCollections")).CollectionIds.includes(CollectionId));

// Every person is recognised on another portrait, by the face and by the user made of it.
const faces = {};
for (const id of people) {
  const { FaceRecords } = await call("IndexFaces",
    { CollectionId, Image: await photo("gallery", id), ExternalImageId: id, MaxFaces: 1 });
  faces[id] = FaceRecords[0].Face.FaceId;
  await call("CreateUser", { CollectionId, UserId: `u:${id}` });
  const joined = await call("AssociateFaces",
    { CollectionId, UserId: `u:${id}`, FaceIds: [faces[id]] });
  assert.deepEqual(joined.AssociatedFaces, [{ FaceId: faces[id] }]);
}
for (const id of people) {
  const Image = await photo("probe", id);
  const { FaceMatches } = await call("SearchFacesByImage", { CollectionId, Image });
  assert.deepEqual(FaceMatches.map((match) => match.Face.ExternalImageId), [id]);
  const { UserMatches } = await call("SearchUsersByImage", { CollectionId, Image });
  assert.deepEqual(UserMatches.map((match) => match.User.UserId), [`u:${id}`]);
}
const [first, second] = people;
const compared = await call("CompareFaces",
  { SourceImage: await photo("gallery", first), TargetImage: await photo("probe", first) });
assert.equal(compared.FaceMatches.length, 1);
const { FaceDetails } = await call("DetectFaces",
  { Image: await photo("probe", first), Attributes: ["ALL"] });
assert.equal(FaceDetails[0].Landmarks.length, 5);
assert.equal(FaceDetails[0].Emotions, undefined);
assert.deepEqual((await call("SearchFaces", { CollectionId, FaceId: faces[first] })).FaceMatches, []);
assert.equal((await call("SearchUsers", { CollectionId, FaceId: faces[first] }))
  .UserMatches[0].User.UserId, `u:${first}`);

// Pages, deletions, and errors by their class.
const listed = [];
for await (const page of sdk.paginateListFaces({ client, pageSize: 1 }, { CollectionId })) {
  listed.push(...page.Faces.map((face) => face.ExternalImageId));
}
assert.deepEqual(listed, people);
const kept = await call("DeleteFaces", { CollectionId, FaceIds: [faces[first]] });
assert.deepEqual(kept.UnsuccessfulFaceDeletions[0].Reasons, ["ASSOCIATED_TO_AN_EXISTING_USER"]);
await call("DisassociateFaces",
  { CollectionId, UserId: `u:${first}`, FaceIds: [faces[first]] });
assert.deepEqual((await call("DeleteFaces", { CollectionId, FaceIds: [faces[first]] })).DeletedFaces,
  [faces[first]]);
await call("DeleteUser", { CollectionId, UserId: `u:${second}` });
assert.equal((await call("ListUsers", { CollectionId })).Users.length, people.length - 1);
await assert.rejects(call("DescribeCollection", { CollectionId: "none" }),
  sdk.ResourceNotFoundException);
await assert.rejects(call("CreateCollection", { CollectionId }), sdk.ResourceAlreadyExistsException);
await assert.rejects(call("DetectLabels", { Image: await photo("probe", first) }),
  sdk.AccessDeniedException);
const wrong = new sdk.RekognitionClient({
  credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: "wrong" },
});
await assert.rejects(wrong.send(new sdk.ListCollectionsCommand({})),
  (error) => error.name === "InvalidSignatureException");
await call("DeleteCollection", { CollectionId });

// More calls at once than are answered a second: the SDK tries again by itself.
const answers = await Promise.all(Array.from({ length: 12 }, () => call("ListCollections")));
assert.ok(answers.some((answer) => answer.$metadata.attempts > 1));
console.log("all as it should be");
