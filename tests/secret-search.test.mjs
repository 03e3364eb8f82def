// The search for secrets that ends every run: it must find what is there, in each spelling, and nothing else.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findLeaks } from "../scripts/leaks.mjs";

const SECRET = "aZ3+/kQ9wLr0pTz8Yx2Bv7Nc";
const OTHERS = Array.from({ length: 5_000 }, (_, i) => `aZ3+another-secret-${i}`);

test("a secret is found in every spelling, wherever it stands, and what only looks like it is not", () => {
  const folder = mkdtempSync(join(tmpdir(), "tollgate-search-"));
  const bytes = Buffer.from(SECRET);
  const texts = {
    alone: [SECRET, "plain"],
    "at the end": [`x${SECRET}`, "plain"],
    "behind its own beginning": [`aZ3${SECRET}.`, "plain"],
    base64: [`"${bytes.toString("base64")}"`, "base64"],
    base64url: [bytes.toString("base64url"), "base64"],
    hex: [`0${bytes.toString("hex")}`, "hex"],
    percent: [`?k=${encodeURIComponent(SECRET)}&`, "percent"],
    short: [SECRET.slice(0, -1)],
    altered: [SECRET.replace("kQ9", "kQ8")],
    apart: [`${SECRET.slice(0, 9)} ${SECRET.slice(9)}`],
    empty: [""],
  };
  try {
    for (const [name, [text]] of Object.entries(texts)) writeFileSync(join(folder, name), text);
    const found = findLeaks([folder], [SECRET, "short", ...OTHERS]);
    const told = Object.fromEntries(found.map((line) => [line.slice(folder.length + 1, line.indexOf(":")), line]));
    for (const [name, [, spelling]] of Object.entries(texts)) {
      if (spelling) assert.match(told[name], new RegExp(` 24 characters, ${spelling}, at byte \\d+$`), name);
      else assert.equal(told[name], undefined, name);
    }
    assert.ok(found.every((line) => !line.includes(SECRET)), "the value itself is never told");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
