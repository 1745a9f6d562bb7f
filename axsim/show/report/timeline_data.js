// The timeline of the execution units: a canvas with a row for each engine, and below them DRAM
// bandwidth and on-chip memory. Times are nanoseconds. timeline.py says how the data is written.
// The files timeline_*.js are one script: this one holds what is shown, the next draws it.
const DATA = JSON.parse(document.getElementById("timeline-data").textContent);
const root = document.documentElement;
const box = document.querySelector(".timeline");
const canvas = box.querySelector("canvas");
const pen = canvas.getContext("2d");
const tip = box.querySelector(".tip");
const role = (name) => box.querySelector(`[data-role="${name}"]`);
const ROW = 24, BAR = 19, RULER = 24, TITLES = 18, LANE = 46, LEAST_SPAN = 400;
const LANES = [{ name: "DRAM", key: "dram" }, { name: "OCM", key: "ocm" }];

let graph = null; // the subgraph shown
let capacity = 1; // bytes of on-chip memory
let from = 0, to = 1; // the part shown, ns
let width = 0, gutter = 60; // CSS pixels
let picked = null; // {run, task}: chosen by keyboard, click or tap
let hovered = null;
let pointed = false; // the box of words is about what the pointer is on

function unpack(raw) {
  if (raw.rows) return raw;
  for (const segment of raw.segments) {
    const count = segment.e.length;
    segment.start = new Float64Array(count);
    segment.end = new Float64Array(count);
    segment.rows = raw.engines.map(() => []);
    segment.place = new Int32Array(count); // in its row
    segment.tiles = segment.steps.map(() => 0);
    const free = raw.engines.map(() => 0);
    for (let i = 0; i < count; i++) {
      const e = segment.e[i];
      segment.start[i] = free[e] + segment.g[i];
      segment.end[i] = free[e] = segment.start[i] + segment.d[i];
      segment.place[i] = segment.rows[e].push(i) - 1;
      if (segment.k[i] === 0) segment.tiles[segment.s[i]]++;
    }
    segment.critical = new Uint8Array(count);
    let last = 0;
    for (let i = 1; i < count; i++) if (segment.end[i] >= segment.end[last]) last = i;
    while (count) {
      segment.critical[last] = 1;
      if (!segment.w[last]) break;
      last -= segment.w[last];
    }
    for (const { key } of LANES) {
      let time = 0;
      const entries = segment[key];
      for (let i = 0; i < entries.length; i += 2) entries[i] = time += entries[i];
    }
  }
  raw.rows = raw.engines.length;
  raw.titles = raw.runs.some((run) => run[2]);
  return raw;
}

const segmentOf = (run) => graph.segments[graph.runs[run][0]];
const startOf = (at) => graph.runs[at.run][1] + segmentOf(at.run).start[at.task];
const endOf = (at) => graph.runs[at.run][1] + segmentOf(at.run).end[at.task];
const same = (a, b) => a && b && a.run === b.run && a.task === b.task;

// The first task in a row's list that ends after `time`, as a position in the list.
function after(segment, list, time) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (segment.end[list[middle]] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function* runsIn(start, end) {
  for (let run = 0; run < graph.runs.length; run++) {
    const [index, offset] = graph.runs[run];
    if (offset < end && offset + graph.segments[index].ns > start) yield run;
  }
}
