// The picture of the README: CPU per request of each case as a bar, readable on light and on dark pages.

const WIDTH = 760;
const LABEL = 250;
const BAR = 18;
const ROW = 27;
const HEADING = 30;
const TOP = 56;
const FOOT = 34;
/** For the number behind the longest bar. */
const NUMBER = 110;

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** An SVG of the results: first what passes, then what is refused. */
export function picture({ measured, on, at }) {
  const most = Math.max(...measured.map(({ cpu }) => cpu.median));
  const scale = (WIDTH - LABEL - NUMBER) / most;
  const passes = ({ does }) => does === "passes";
  const groups = [
    ["requests that pass", measured.filter(passes)],
    ["requests that are refused", measured.filter((one) => !passes(one))],
  ].filter(([, cases]) => cases.length > 0);
  let y = TOP;
  const drawn = [];
  for (const [heading, cases] of groups) {
    drawn.push(`<text class="heading" x="8" y="${y + 18}">${heading}</text>`);
    y += HEADING;
    for (const one of cases) {
      drawn.push(bar(one, y, scale));
      y += ROW;
    }
  }
  const height = y + FOOT;
  const floor = LABEL + measured.find(({ name }) => name === "floor").cpu.median * scale;
  const title = "CPU of workerd per request, in microseconds";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${title}; the numbers are in results.md">
<style>
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .heading { font-weight: 600 }
  .quiet { fill: #59636e; font-size: 12px }
  .ground { fill: #ffffff }
  .number { paint-order: stroke; stroke: #ffffff; stroke-width: 5px }
  .own { fill: #0969da } .peer { fill: #8c959f } .bare { fill: #57606a }
  .line { stroke: #57606a; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 }
    text { fill: #f0f6fc } .quiet { fill: #9198a1 } .number { stroke: #0d1117 }
    .own { fill: #4493f8 } .peer { fill: #6e7681 } .bare { fill: #b1bac4 } .line { stroke: #9198a1 }
  }
</style>
<!-- A page need not be as dark as the reader's system: the picture brings its own ground. -->
<rect class="ground" width="${WIDTH}" height="${height}" rx="6"/>
<text class="title" x="8" y="20">${title}</text>
<text class="quiet" x="8" y="40">median of interleaved rounds on one workerd; less is better; the dashed line is the floor</text>
<line class="line" x1="${floor.toFixed(1)}" y1="${TOP}" x2="${floor.toFixed(1)}" y2="${y}"/>
${drawn.join("\n")}
<text class="quiet" x="8" y="${height - 10}">${escaped(`${at.slice(0, 10)}, workerd ${on.workerd}, ${on.system}; npm run bench`)}</text>
</svg>
`;
}

function bar({ name, title, does, cpu, overFloor }, y, scale) {
  const own = name.startsWith("exact") || name.startsWith("leased");
  const bare = ["floor", "object", "refusal"].includes(name);
  const width = cpu.median * scale;
  const middle = y + BAR / 2 + 4.5;
  const number = `${cpu.median.toFixed(0)} (${overFloor.median.toFixed(2)} ×)`;
  const label = does === "passes" || bare ? title : `${title}: ${does}`;
  return `<text x="${LABEL - 10}" y="${middle}" text-anchor="end">${escaped(label)}</text>
<rect class="${own ? "own" : bare ? "bare" : "peer"}" x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="3"/>
<text class="number" x="${(LABEL + width + 8).toFixed(1)}" y="${middle}">${number}</text>`;
}
