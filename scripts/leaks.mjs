// Looks for secrets where none may be: in logs, in outputs, in state on disk.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** The spellings in which a secret would be as good as the secret itself. */
const SPELLINGS = {
  plain: (secret) => secret,
  base64: (secret) => Buffer.from(secret).toString("base64").replace(/=+$/, ""),
  base64url: (secret) => Buffer.from(secret).toString("base64url"),
  hex: (secret) => Buffer.from(secret).toString("hex"),
  percent: (secret) => encodeURIComponent(secret),
};

/** Shorter ones would be found by chance. */
const SHORTEST = 16;

/** Places of `secrets` in the files at `paths` (folders: all below): what, how, never the value. */
export function findLeaks(paths, secrets) {
  const wanted = [...new Set(secrets)].filter((secret) => secret.length >= SHORTEST);
  const look = lookFor(wanted);
  const found = [];
  for (const file of paths.flatMap(filesBelow)) {
    look(readFileSync(file), ({ length, spelling }, at) => {
      found.push(`${file}: a secret of ${length} characters, ${spelling}, at byte ${at}`);
    });
  }
  return [...new Set(found)];
}

/**
 * A search for all spellings of all secrets in one pass: a run of the tests has thousands of secrets and tens of
 * megabytes to look through. A byte is looked at closely only where the four from it on begin some spelling.
 */
function lookFor(secrets) {
  const spelled = new Map();
  for (const secret of secrets) {
    for (const [spelling, spell] of Object.entries(SPELLINGS)) {
      const text = spell(secret);
      if (!spelled.has(text)) spelled.set(text, { bytes: Buffer.from(text), length: secret.length, spelling });
    }
  }
  const byBeginning = new Map();
  const may = new Uint8Array(1 << 22);
  const slot = (four) => Math.imul(four, 0x9e3779b1) >>> 10;
  for (const needle of spelled.values()) {
    const four = needle.bytes.readInt32BE(0);
    may[slot(four)] = 1;
    if (!byBeginning.has(four)) byBeginning.set(four, []);
    byBeginning.get(four).push(needle);
  }
  return (content, tell) => {
    let four = 0;
    for (let end = 0; end < content.length; end += 1) {
      four = (four << 8) | content[end];
      if (may[slot(four)] === 0) continue;
      const at = end - 3;
      for (const needle of at < 0 ? [] : (byBeginning.get(four) ?? [])) {
        if (content.subarray(at, at + needle.bytes.length).equals(needle.bytes)) tell(needle, at);
      }
    }
  };
}

function filesBelow(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesBelow(join(path, name)));
}
