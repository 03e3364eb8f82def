// Pages in headless Chromium: how one is started, and what is looked at on every page.
import { chromium } from "playwright-core";

export const SCREENS = [
  { name: "phone, light", viewport: { width: 360, height: 780 }, colorScheme: "light" },
  { name: "phone, dark", viewport: { width: 360, height: 780 }, colorScheme: "dark" },
  { name: "wide, light", viewport: { width: 1440, height: 900 }, colorScheme: "light" },
  { name: "wide, dark", viewport: { width: 1440, height: 900 }, colorScheme: "dark" },
];

/** Starts a browser. */
export const launch = () =>
  chromium.launch({
    executablePath: process.env.TOLLGATE_CHROME ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });

/** In the browser, before the page: notes what breaks its policy, and how far things jumped. */
export function watch() {
  globalThis.watched = { violations: [], shift: 0 };
  document.addEventListener("securitypolicyviolation", (event) => watched.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) watched.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
}

/** In the browser: what is wrong with how the page looks now. */
export function faults() {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const expect = (right, what) => right || wrong.push(what);
  expect(document.documentElement.scrollWidth <= innerWidth, `scrolls sideways: ${document.documentElement.scrollWidth}`);
  expect(document.documentElement.lang && document.title, "language and title");
  expect(all("main").length === 1 && all("h1").length === 1, "one main, one h1");
  const levels = all("h1, h2, h3, h4").map((heading) => Number(heading.tagName[1]));
  expect(levels.every((level, at) => level <= (levels[at - 1] ?? 0) + 1), `heading order ${levels}`);
  const ids = all("[id]").map((node) => node.id);
  expect(new Set(ids).size === ids.length, "an id twice");
  for (const node of all("a, button, input, select")) {
    if (!node.checkVisibility()) continue;
    expect(node.textContent.trim() || node.labels?.length, `no name: ${node.outerHTML}`);
    const { width, height } = node.getBoundingClientRect();
    expect(node.matches(".skip, pre a, p a, .codes a") || (width >= 24 && height >= 24), `small: ${node.textContent} ${width}x${height}`);
  }
  for (const node of all("input, select")) expect(node.labels.length > 0, `no label: ${node.outerHTML}`);
  for (const node of all("img")) expect(node.hasAttribute("alt"), `no alt: ${node.src}`);
  for (const node of all("iframe")) expect(node.title, "a frame without title");
  for (const node of all("svg")) expect(node.querySelector("title")?.textContent, "a picture without words");
  for (const node of all("[aria-labelledby]")) expect(document.getElementById(node.getAttribute("aria-labelledby")), "a label that is not there");

  const colour = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (node) => {
    const own = colour(getComputedStyle(node).backgroundColor);
    return own[3] === 0 && node.parentElement ? ground(node.parentElement) : own;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility() || node.closest("svg, noscript, .unseen, :disabled")) continue;
    const [a, b] = [light(colour(getComputedStyle(node).color)), light(ground(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    expect(contrast >= 4.5, `contrast ${contrast.toFixed(2)}: ${text.data.trim().slice(0, 40)}`);
  }
  return wrong;
}
