// The picture of the limits: one bar each, a segment for each call. A call empties a segment, and
// the segment fills up again until its call comes back.
import { element, svg } from "../dom.js";
import { Gauge } from "./gauge.js";

/** More segments than these would be thinner than a pixel on a phone. */
const MOST_SEGMENTS = 60;
/** The bar in its own units; it is stretched to the width there is. */
const WIDTH = 600;
const HEIGHT = 20;
/** Between two pictures. */
const TICK_MS = 100;

export class Limits {
  /** @param {HTMLElement} list @param {{ now?: () => number }} [options] */
  constructor(list, { now = () => performance.now() } = {}) {
    this.list = list;
    this.now = now;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    /** @type {Map<string, Bar>} */
    this.bars = new Map();
    this.timer = 0;
  }

  /**
   * @param {import("../tollgate.js").Answer} answer
   */
  take(answer) {
    const counted = answer.problem?.status !== 429;
    for (const limit of answer.limits) {
      const bar = this.bars.get(limit.name) ?? this.add(limit.name);
      bar.gauge.take(limit, counted, this.now());
    }
    this.draw();
  }

  /** What a person who does not see the picture is told after a call. */
  inWords() {
    return [...this.bars.values()].map((bar) => bar.words).join(" ");
  }

  /** @param {string} name */
  add(name) {
    const bar = new Bar(name);
    if (this.bars.size === 0) this.list.replaceChildren();
    this.bars.set(name, bar);
    this.list.append(bar.row);
    return bar;
  }

  draw() {
    clearTimeout(this.timer);
    const moving = [...this.bars.values()].map((bar) => bar.draw(this.now(), this.calm.matches)).includes(true);
    if (moving) this.timer = setTimeout(() => this.draw(), TICK_MS);
  }
}

class Bar {
  /** @param {string} name */
  constructor(name) {
    this.gauge = new Gauge(name);
    this.words = "";
    this.title = svg("title");
    this.picture = svg("svg", {
      role: "img",
      class: "bar",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
    }, this.title);
    this.left = element("span", { class: "limit-left" });
    this.next = element("span", { class: "limit-next" });
    this.row = element("li", { class: "limit", "data-limit": name },
      element("p", { class: "limit-line" }, element("code", {}, name), this.left, this.next), this.picture);
    /** @type {SVGElement[]} */
    this.fills = [];
  }

  /**
   * @param {number} now ms
   * @param {boolean} calm without the slow filling
   * @returns {boolean} whether there is something to wait for
   */
  draw(now, calm) {
    const { quota, window, name } = this.gauge;
    const { remaining, next, coming } = this.gauge.read(now);
    const segments = Math.min(quota, MOST_SEGMENTS);
    if (this.fills.length !== segments) this.build(segments);
    const perSegment = quota / segments;
    for (const [at, fill] of this.fills.entries()) {
      const whole = Math.min(1, Math.max(0, remaining / perSegment - at));
      const part = whole > 0 || calm ? 0 : (coming[Math.floor(at * perSegment) - remaining] ?? 0);
      fill.setAttribute("class", whole > 0 ? "bar-left" : "bar-coming");
      fill.setAttribute("height", String(HEIGHT * (whole || part)));
      fill.setAttribute("y", String(HEIGHT * (1 - (whole || part))));
    }
    const back = next === undefined ? "" : `one back in ${inSeconds(next)}`;
    set(this.left, `${remaining} of ${quota} left`);
    set(this.next, back || `${quota} per ${inSeconds(window * 1000)}`);
    this.words = `${name}: ${remaining} of ${quota} left${back && `, ${back}`}.`;
    set(this.title, this.words);
    this.row.classList.toggle("empty", remaining === 0);
    return next !== undefined;
  }

  /** @param {number} segments */
  build(segments) {
    const step = WIDTH / segments;
    const width = step - Math.min(8, step * 0.3);
    /** @param {number} at @param {string} kind */
    const shape = (at, kind) => svg("rect", { class: kind, x: at * step, y: 0, width, height: HEIGHT });
    const places = Array.from({ length: segments }, (_, at) => shape(at, "bar-place"));
    this.fills = places.map((_, at) => shape(at, "bar-left"));
    this.picture.replaceChildren(this.title, ...places, ...this.fills);
  }
}

/** Only what changed is written, so that nothing is drawn or spoken anew. @param {Element} node @param {string} text */
function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {number} ms */
function inSeconds(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.ceil(seconds / 60)} min` : `${Math.ceil(seconds / 3600)} h`;
}
