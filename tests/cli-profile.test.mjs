// Which gate the command `tollgate` calls and as whom; its completions.
//
//   1. profiles: set, list, remove; which address goes before which
//   2. never a credential in the file
//   3. the credential: session before key, a prompt without echo on a terminal, nothing without one
//   4. completions
//
// Exit codes: 0 yes, 1 no, 2 wrong usage or bad input.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cli } from "../scripts/paths.mjs";
import { base62, forged } from "./support/keys.mjs";
import { chance } from "./support/random.mjs";
import { secretsUsed } from "./support/run.mjs";

const random = chance(11);
/** Something of the form of an admin key, which no gate knows. */
const KEY = forged({ kind: "ak", id: base62(random, 16), secret: base62(random, 32) });
const SESSION = `session-${base62(random, 40)}`;

let home;
let server;
let seen;
before(async () => {
  secretsUsed([KEY.slice(-38), SESSION]);
  // What a gate would answer to a list: the tests look at what it was asked.
  server = createServer((request, response) => {
    seen.push({ host: request.headers.host, authorization: request.headers.authorization, url: request.url });
    response.setHeader("Content-Type", "application/json").end('{"keys":[],"anomalies":[],"nextCursor":null}');
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tollgate-home-"));
  seen = [];
});
afterEach(() => rmSync(home, { recursive: true, force: true }));
after(() => {
  server.close();
  server.closeAllConnections();
});

const port = () => server.address().port;
const gate = (name) => `http://${name}.localhost:${port()}`;
const file = () => join(home, ".config", "tollgate", "profiles.toml");

/** Runs a program with nothing of this process's environment but a home. What it reads comes when `when` is done. */
async function run(program, args, { input = "", env = {}, when = async () => {} } = {}) {
  const child = spawn(program, args, { env: { HOME: home, PATH: process.env.PATH, ...env }, stdio: ["pipe", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => (out += chunk));
  child.stderr.on("data", (chunk) => (err += chunk));
  child.stdin.on("error", () => {}); // it need not read it
  const closed = once(child, "close");
  await when(() => out);
  child.stdin.end(input);
  const [code] = await closed;
  return { code, out, err };
}
/** Waits until it is so, and not for ever. */
async function until(test) {
  for (const end = performance.now() + 5_000; !(await test()); await sleep(5)) assert.ok(performance.now() < end, `${test} is still not so`);
}
const tollgate = (args, options) => run(cli, args, options);
const listed = async (options = {}, args = []) => {
  const { code, err } = await tollgate(["keys", "list", "--json", ...args], { env: { TOLLGATE_TOKEN: KEY, ...options } });
  assert.deepEqual([code, err], [0, ""]);
  return seen.at(-1);
};

/** Writes the file as somebody else might have. */
function write(text, mode = 0o644) {
  mkdirSync(join(home, ".config", "tollgate"), { recursive: true });
  writeFileSync(file(), text);
  chmodSync(file(), mode);
}

describe("profiles", () => {
  test("are set, listed and removed, and nothing else is left in the folder", async () => {
    assert.deepEqual(await tollgate(["profile", "list"]), { code: 0, out: "no profiles\n", err: "" });
    assert.equal(existsSync(file()), false, "to look makes no file");
    assert.equal((await tollgate(["profile", "set", "live", "https://gate.example.com"])).code, 0);
    const set = await tollgate(["profile", "set", "default", gate("one"), "--json"]);
    assert.deepEqual(JSON.parse(set.out), {
      profiles: [{ name: "default", gate: gate("one") }, { name: "live", gate: "https://gate.example.com" }],
      file: file(),
    });
    assert.equal(readFileSync(file(), "utf8"), `[default]\ngate = "${gate("one")}"\n\n[live]\ngate = "https://gate.example.com"\n`);
    assert.equal((await tollgate(["profile", "remove", "default"])).out, "NAME  GATE\nlive  https://gate.example.com\n");
    assert.deepEqual(await tollgate(["profile", "remove", "default"]), { code: 1, out: "", err: 'tollgate: there is no profile "default"\n' });
    assert.deepEqual(readdirSync(join(home, ".config", "tollgate")), ["profiles.toml"]);
  });

  test("an argument goes before the environment, and both before the default", async () => {
    for (const name of ["default", "named", "other"]) await tollgate(["profile", "set", name, gate(name)]);
    const host = (name) => `${name}.localhost:${port()}`;
    const url = gate("url");
    assert.equal((await listed()).host, host("default"));
    assert.equal((await listed({ TOLLGATE_PROFILE: "other" })).host, host("other"));
    assert.equal((await listed({ TOLLGATE_PROFILE: "other", TOLLGATE_URL: url })).host, host("url"));
    assert.equal((await listed({ TOLLGATE_URL: url }, ["--profile", "named"])).host, host("named"));
    assert.equal((await listed({ TOLLGATE_URL: url }, ["--gate", gate("said")])).host, host("said"));
    const both = await tollgate(["keys", "list", "--gate", url, "--profile", "named"], { env: { TOLLGATE_TOKEN: KEY } });
    assert.equal(both.code, 2);
    const folder = mkdtempSync(join(tmpdir(), "tollgate-xdg-"));
    const elsewhere = { XDG_CONFIG_HOME: folder };
    const unknown = await tollgate(["keys", "list", "--profile", "named"], { env: { TOLLGATE_TOKEN: KEY, ...elsewhere } });
    assert.equal(unknown.code, 2);
    assert.match(unknown.err, /there is no profile "named" in .*tollgate-xdg-.*: it has none/);
    rmSync(folder, { recursive: true, force: true });
    const nowhere = await tollgate(["keys", "list"], { env: { TOLLGATE_TOKEN: KEY, ...elsewhere } });
    assert.deepEqual([nowhere.code, nowhere.out], [2, ""]);
    assert.match(nowhere.err, /which gate\? Say --gate URL or --profile NAME, or set TOLLGATE_URL/);
  });

  test("a file that is not what it has to be sends nothing anywhere", async () => {
    for (const [reason, text, mode] of [
      ["no TOML", "[default"],
      ["an unknown field", `[default]\ngate = "${gate("one")}"\nuser = "ana"\n`],
      ["http to another machine", '[default]\ngate = "http://gate.example.com"\n'],
      ["a path", `[default]\ngate = "${gate("one")}/x"\n`],
      ["everybody may write it", `[default]\ngate = "${gate("one")}"\n`, 0o666],
    ]) {
      write(text, mode);
      const got = await tollgate(["keys", "list"], { env: { TOLLGATE_TOKEN: KEY } });
      assert.deepEqual([got.code, got.out, seen.length], [2, "", 0], `${reason}: ${got.err}`);
      assert.match(got.err, /profiles\.toml/, reason);
    }
  });
});

describe("credentials", () => {
  test("are never in the file, and one that is there is told without being shown", async () => {
    for (const text of [
      `[default]\ngate = "${gate("one")}"\ntoken = "${KEY}"\n`,
      `# ${KEY}\n[default]\ngate = "${gate("one")}"\n`,
      `[default]\ngate = "${gate("one")}" # ${SESSION}\n`,
    ]) {
      write(text);
      for (const args of [["keys", "list"], ["profile", "list"], ["profile", "set", "a", gate("one")]]) {
        const got = await tollgate(args, { env: { TOLLGATE_TOKEN: KEY } });
        assert.deepEqual([got.code, got.out, seen.length], [2, "", 0]);
        assert.match(got.err, /line [123] holds what looks like a credential/);
        assert.equal(got.err.includes(KEY) || got.err.includes(SESSION), false);
      }
      assert.equal(readFileSync(file(), "utf8"), text, "it is left as it was");
    }
    rmSync(file());
    for (const args of [["a", `https://${KEY}.example.com`], [KEY, gate("one")], ["a", `https://ana:${KEY}@gate.example.com`]]) {
      const got = await tollgate(["profile", "set", ...args]);
      assert.equal(got.code, 2);
      assert.equal(got.err.includes(KEY), false);
      assert.equal(existsSync(file()), false);
    }
  });

  test("a session's token goes in the place of the key, and standard input before both", async () => {
    const url = { TOLLGATE_URL: gate("one") };
    assert.equal((await listed(url)).authorization, `Bearer ${KEY}`);
    assert.equal((await listed({ ...url, TOLLGATE_SESSION: SESSION })).authorization, `Bearer ${SESSION}`);
    const env = { ...url, TOLLGATE_SESSION: SESSION, TOLLGATE_TOKEN: KEY };
    assert.equal((await tollgate(["anomalies", "--token-stdin"], { env, input: "from-standard-input\nmore\n" })).code, 0);
    assert.equal(seen.at(-1).authorization, "Bearer from-standard-input");
  });

  test("nobody is asked where nobody can answer", async () => {
    const got = await tollgate(["keys", "list", "--gate", gate("one")], { input: `${KEY}\n` });
    assert.deepEqual([got.code, got.out, seen.length], [2, "", 0]);
    assert.match(got.err, /as whom\? Set TOLLGATE_SESSION or TOLLGATE_TOKEN, or use --token-stdin/);
  });

  test("on a terminal the key is asked for and not shown", { skip: process.platform !== "linux" && "script(1) is another one elsewhere" }, async () => {
    // script gives the command a terminal, and types what it reads itself: once nothing is echoed any
    // more, which is a moment after the question.
    const command = `tty > ${home}/tty; exec ${cli} keys list --gate ${gate("one")}`;
    const hidden = async (printed) => {
      await until(() => printed().includes("(not shown): "));
      const terminal = readFileSync(join(home, "tty"), "utf8").trim();
      await until(async () => /-echo\b/.test((await run("stty", ["-F", terminal, "-a"])).out));
    };
    const got = await run("script", ["-qec", command, "/dev/null"], { input: `${KEY}\n`, when: hidden });
    assert.equal(got.code, 0, got.out + got.err);
    assert.match(got.out, /Admin key \(not shown\): /);
    assert.match(got.out, /no keys/);
    assert.equal(seen.at(-1).authorization, `Bearer ${KEY}`);
    assert.equal(got.out.includes(KEY), false, "it is not echoed");
  });
});

test("completions of every shell know the commands", async () => {
  for (const [shell, words] of [
    ["bash", /complete -F _tollgate/],
    ["zsh", /#compdef tollgate/],
    ["fish", /complete -c tollgate/],
    ["powershell", /Register-ArgumentCompleter/],
    ["elvish", /edit:completion:arg-completer\[tollgate\]/],
  ]) {
    const got = await tollgate(["completions", shell]);
    assert.deepEqual([got.code, got.err], [0, ""], shell);
    assert.match(got.out, words, shell);
    for (const word of ["anomalies", "profile", "end-grace", "token-stdin"]) assert.ok(got.out.includes(word), `${shell}: ${word}`);
  }
  const bash = await tollgate(["completions", "bash"]);
  assert.equal((await run("bash", ["-n"], { input: bash.out })).code, 0, "bash reads it");
  assert.equal((await tollgate(["completions", "tcsh"])).code, 2);
});

test("a list of anomalies says what it narrows by, and nothing more", async () => {
  const env = { TOLLGATE_URL: gate("one"), TOLLGATE_TOKEN: KEY };
  const none = await tollgate(["anomalies"], { env });
  assert.deepEqual([none.code, none.out, seen.at(-1).url], [0, "no anomalies\n", "/_tollgate/v1/anomalies?limit=100"]);
  const narrow = ["--tenant", "a&b", "--key", "k", "--kind", "new_route", "--since", "2026-01-01", "--limit", "7"];
  assert.equal((await tollgate(["anomalies", ...narrow, "--json"], { env })).out, '{"anomalies":[],"nextCursor":null}\n');
  assert.equal(seen.at(-1).url, "/_tollgate/v1/anomalies?limit=7&tenant=a%26b&key=k&kind=new_route&since=2026-01-01");
});
