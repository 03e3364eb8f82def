// Packages of the operating system: the C compiler, OpenSSL's headers, the browser and the Python of
// the tests.
// Installed where that needs no password, else the one command is named.
import { Mend } from "./report.mjs";
import { ask, run } from "./run.mjs";

const onMac = process.platform === "darwin";

/** What is looked for, how, and what brings it. */
const NEEDS = {
  compiler: {
    what: "a C compiler (cc)",
    there: () => ask("cc", ["--version"]) !== undefined,
    debian: ["gcc", "libc6-dev"],
    mac: "xcode-select --install",
  },
  openssl: {
    what: "pkg-config and OpenSSL's headers",
    // On macOS the tools use the system's own TLS.
    there: () => onMac || ask("pkg-config", ["--exists", "openssl"]) !== undefined,
    debian: ["pkg-config", "libssl-dev"],
  },
  python: {
    what: "Python 3.10 or newer with its module venv",
    there: () => ask("python3", ["-c", "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))"]) !== undefined,
    debian: ["python3", "python3-venv"],
    mac: "brew install python",
  },
  browser: {
    what: "Chromium and its driver",
    there: () => chromium() !== undefined && chromedriver() !== undefined,
    debian: ["chromium", "chromium-driver"],
    mac: "brew install --cask chromium chromedriver",
  },
};

const which = (...names) => names.map((name) => ask("sh", ["-c", `command -v ${name}`])).find(Boolean);
export const chromium = () => process.env.CHROME ?? which("chromium", "chromium-browser", "google-chrome");
export const chromedriver = () => process.env.CHROMEDRIVER ?? which("chromedriver");

/** Sees to it that the named needs are there; returns what it had to install, or "there". */
export async function systemPackages(...names) {
  const missing = names.map((name) => NEEDS[name]).filter((need) => !need.there());
  if (missing.length === 0) return "there";
  const what = missing.map((need) => need.what).join(", ");
  const packages = missing.flatMap((need) => need.debian ?? []);
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...packages];

  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const allowed = asRoot.length === 0 || ask("sudo", ["-n", "true"]) !== undefined;
  if (ask("apt-get", ["--version"]) !== undefined && allowed) {
    const attempt = (args) =>
      run([...asRoot, ...args][0], [...asRoot, ...args].slice(1), {
        env: { DEBIAN_FRONTEND: "noninteractive" },
      });
    if ((await attempt(install)).code !== 0) {
      await attempt(["apt-get", "update"]);
      await attempt(install);
    }
    if (missing.every((need) => need.there())) return `installed ${packages.join(" ")}`;
  }
  const mend = onMac
    ? missing.map((need) => need.mac).filter(Boolean).join(" && ")
    : `sudo ${install.join(" ")}   (or what your system calls these packages)`;
  throw new Mend(`Missing: ${what}.`, mend);
}
