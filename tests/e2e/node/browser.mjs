// What pages do with a server, for a real browser: each function answers with what a page can
// read, "unreadable" where the browser keeps it from it.
import { ListCollectionsCommand, RekognitionClient } from "@aws-sdk/client-rekognition";

const UNREADABLE = "unreadable";

async function read(url, options) {
  try {
    const answer = await fetch(url, options);
    return { status: answer.status, body: await answer.text(), id: answer.headers.get("X-Request-Id") };
  } catch {
    return UNREADABLE;
  }
}

const blob = (base64) => new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]);

function form(fields, file) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  if (file) data.append("file", file, "picture.png");
  return data;
}

globalThis.page = {
  get: (url, headers = {}) => read(url, { headers }),
  withStoredLogin: (url) => read(url, { credentials: "include" }),
  upload: (url, fields, base64) => read(url, { method: "POST", body: form(fields, blob(base64)) }),

  async uploadInParts(url, fields, sizes) {
    const total = sizes.reduce((sum, size) => sum + size);
    let start = 0;
    let answer;
    for (const size of sizes) {
      const part = new Blob([new Uint8Array(size).fill(65 + start % 26)]);
      const headers = {
        "X-Unique-Upload-Id": "a-page", "X-Requested-With": "XMLHttpRequest",
        "Content-Range": `bytes ${start}-${start + size - 1}/${total}`,
      };
      answer = await read(url, { method: "POST", headers, body: form(fields, part) });
      if (answer === UNREADABLE) return answer;
      start += size;
    }
    return answer;
  },

  // The width of a picture whose pixels the page may read.
  async picture(src, crossOrigin) {
    const image = new Image();
    if (crossOrigin) image.crossOrigin = crossOrigin;
    image.src = src;
    try {
      await image.decode();
    } catch {
      return "not shown";
    }
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    try {
      context.getImageData(0, 0, 1, 1);
    } catch {
      return "shown";
    }
    return image.naturalWidth;
  },

  async collections(endpoint, accessKeyId, secretAccessKey) {
    const credentials = { accessKeyId, secretAccessKey };
    const client = new RekognitionClient({ endpoint, credentials, region: "us-east-1", maxAttempts: 1 });
    try {
      const answer = await client.send(new ListCollectionsCommand({}));
      return { ids: answer.CollectionIds, requestId: answer.$metadata.requestId };
    } catch (error) {
      return error.name;
    }
  },

  post(url, fields) {
    const sent = document.createElement("form");
    Object.assign(sent, { method: "POST", action: url });
    for (const [name, value] of Object.entries(fields)) {
      sent.append(Object.assign(document.createElement("input"), { name, value }));
    }
    document.body.append(sent);
    sent.submit();
  },
};
