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
  const found = [];
  for (const file of paths.flatMap(filesBelow)) {
    const content = readFileSync(file);
    for (const secret of wanted) {
      for (const [spelling, spell] of Object.entries(SPELLINGS)) {
        const offset = content.indexOf(spell(secret));
        if (offset >= 0) found.push(`${file}: a secret of ${secret.length} characters, ${spelling}, at byte ${offset}`);
      }
    }
  }
  return [...new Set(found)];
}

function filesBelow(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesBelow(join(path, name)));
}
